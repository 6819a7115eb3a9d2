"""Finish reasons, normalised across servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

End = Literal["", "stop", "length", "content_filter", "refusal", "tool_calls", "broken"]
WITHHELD: dict[str, str] = {
    "content_filter": "the server's content filter ended {}",
    "refusal": "the model on the server refused {}",
    "tool_calls": "the server called a tool, although none was offered, in {}",
}
"""Finish reasons of incomplete answers, with the note that a reader gets."""
_NAMES: dict[str, tuple[str, ...]] = {
    "length": ("length", "max_tokens", "max_output_tokens", "model_length"),
    "content_filter": (
        "content_filter",
        "content_filtered",
        "safety",
        "prohibited_content",
        "blocklist",
        "recitation",
        "spii",
        "guardrail_intervened",
        "sensitive",
    ),
    "refusal": ("refusal",),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "broken": (
        "abort",
        "aborted",
        "cancelled",
        "error",
        "network_error",
        "insufficient_system_resource",
    ),
}
_NO_END = ("", "null", "none")
_ENDS: dict[str, End] = {
    name: end
    for end in ("length", "content_filter", "refusal", "tool_calls", "broken")
    for name in _NAMES[end]
}


def end_of(told: str) -> End:
    """The normalised finish reason; an unknown name counts as "stop"."""
    name = told.strip().lower()
    return "" if name in _NO_END else _ENDS.get(name, "stop")


def withheld(finishes: Iterable[str]) -> Iterator[str]:
    """Notes on the answers that the server cut off or refused."""
    told = list(finishes)
    counts = Counter(told)
    for end, said in WITHHELD.items():
        if counts[end]:
            which = "the answer" if len(told) == 1 else f"{counts[end]} of {len(told)} answers"
            yield said.format(which)
