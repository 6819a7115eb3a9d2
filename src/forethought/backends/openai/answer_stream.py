"""Shows a server's answer while it arrives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forethought.backends.openai.api import Api
from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.backend import UNKNOWN_TOKEN, TokenDelta
from forethought.contracts.errors import RemoteError

REPLACEMENT = "\ufffd"
"""Servers send it in place of a character whose bytes were cut."""


@dataclass
class AnswerStream:
    """The part of an answer that can be shown, over all attempts at it.

    It shows no part of a stop string, of a character or of the API key. An attempt that starts
    again shows nothing before it is longer than the last one.
    """

    key: str
    """The key of the request."""
    stops: Sequence[str]
    tell: Callable[[TokenDelta], None]
    _seen: str = ""
    """The text that the stop matcher has got."""
    _log_probability: float = 0.0
    _matcher: StopMatcher = field(init=False)

    def __post_init__(self) -> None:
        self._matcher = StopMatcher(self.stops, keep=False)

    def grow(self, text: str, log_probability: float, api: Api) -> None:
        """Show what is new in the text so far; `log_probability` is that of the whole text.

        Raises RemoteError if another attempt began the answer with other words.
        """
        text = text.rstrip(REPLACEMENT)
        text = text[: len(text) - api.scrub.begun(text)]
        if not text.startswith(self._seen[: len(text)]):
            raise RemoteError(
                f"{api.endpoint.base} dropped an answer that was being shown, and began it anew "
                "with other words",
                "ask again; see the server's log",
            )
        if len(text) <= len(self._seen):
            return
        shown = self._matcher.feed(text[len(self._seen) :])
        gained, self._log_probability = log_probability - self._log_probability, log_probability
        self._seen = text
        self.tell(TokenDelta(self.key, shown, UNKNOWN_TOKEN, gained))
