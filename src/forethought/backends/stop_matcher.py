"""Ends an answer at a stop string and never shows a part of one.

The stop string that is complete first ends the answer; if two end at the same character, the one
that starts first does. So the result does not depend on how the text is split.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Passes text through, but holds back a possible start of a stop string."""

    def __init__(self, stops: Sequence[str], keep: bool, after: str = "") -> None:
        """`keep` leaves the stop string in the text; `after` is text that is already shown."""
        self._stops = [stop for stop in stops if stop]
        self._keep = keep
        self._held = after
        self._old = self._pending()
        self._held = after[len(after) - self._old :]
        self.stopped = False
        self.back = 0
        """Characters at the end of `after` that belong to the stop string."""

    def feed(self, text: str) -> str:
        """The text that can be shown; sets `stopped` once a stop string is complete."""
        if self.stopped:
            return ""
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if not found:
            return self._release(len(self._held) - self._pending())
        end, start = min(found)
        self.stopped = True
        shown = self._release(end if self._keep else start)
        self.back = self._old
        return shown

    def finish(self) -> str:
        """The text held back, when the answer has ended."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, count: int) -> str:
        """Take the first `count` held characters, without those already shown."""
        again = min(self._old, count)
        shown, self._held = self._held[again:count], self._held[count:]
        self._old -= again
        return shown

    def _pending(self) -> int:
        """Length of the longest suffix of the held text that starts a stop string."""
        longest = max((len(stop) for stop in self._stops), default=0)
        for size in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0
