"""The states that an answer lists, and the published measures of their agreement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from forethought.tasks.answer_lines import answers
from forethought.tasks.procbench._problem import Form

_MARK = re.compile(r"[-*•] |step \d+ ?[.):-]? |\d+[.):] ", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,100}")
_ANSWER = re.compile(r"[ \t*_#>]*answer[ \t*_]*[:=]", re.IGNORECASE)
_BETWEEN_ITEMS = str.maketrans(dict.fromkeys("()[]{}\"'`,;|", " "))
_AROUND = "`\"'*. \t\r"


@dataclass(frozen=True)
class TraceMatch:
    """How far an answer's states agree with the right ones."""

    prefix: int
    """States that are right before the first wrong one."""
    given: int
    """States of the answer."""
    right: int
    """States of the reference."""
    final: bool
    """Whether the final state is right."""

    @property
    def accuracy(self) -> float:
        """Prefix accuracy: the right prefix over the longer one of both traces."""
        return self.prefix / max(self.given, self.right)


def agreement(reference: Sequence[str], given: Sequence[str], form: Form) -> TraceMatch:
    """Compare traces, neither of which is empty; `given` has the form of `states`."""
    right = [canonical(state, form) for state in reference]
    pairs = zip(right, given, strict=False)
    prefix = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return TraceMatch(prefix, len(given), len(right), right[-1] == given[-1])


def states(answer: str, form: Form) -> list[str]:
    """The states of an answer in canonical form, the final one last; none without a final one.

    The final state is that of the last answer line; a line before it that repeats it counts
    once. A line is left out if it is empty, has a colon, or cannot be a state of this form.
    """
    stated = answers(answer)
    final = canonical(stated[-1], form) if stated else ""
    if not final:
        return []
    listed = [found for line in answer.split("\n") if (found := _state(line, form))]
    return [*(listed[:-1] if listed[-1:] == [final] else listed), final]


def canonical(line: str, form: Form) -> str:
    """A state without markup, for comparison; empty if it cannot be one."""
    plain = line.strip(_AROUND)
    if form == "items":
        return " ".join(plain.translate(_BETWEEN_ITEMS).split())
    if form == "number":
        found = _NUMBER.fullmatch(plain.replace(",", ""))
        return str(int(found[0])) if found else ""
    split = plain.split()
    return "" if form == "string" and len(split) != 1 else " ".join(split)


def _state(line: str, form: Form) -> str:
    """The state on a line before the answer; empty for any other line."""
    plain = " ".join(line.split())
    if marked := _MARK.match(plain):
        plain = plain[marked.end() :]
    left_out = ":" in plain or plain.startswith("```") or _ANSWER.match(plain)
    return "" if left_out else canonical(plain, form)
