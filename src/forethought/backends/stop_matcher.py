"""Ends an answer at a stop string, without ever showing part of one.

Of several stop strings the one that is complete first ends the answer; of those that are complete
with the same letter it is the one that began first. So how a text comes in pieces changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Passes text through, holding back what may yet become a stop string."""

    def __init__(self, stops: Sequence[str], keep: bool, after: str = "") -> None:
        """`keep` leaves the stop string in the text; `after` is what was shown before."""
        self._stops = [stop for stop in stops if stop]
        self._keep = keep
        self._held = after
        self._old = self._pending()
        self._held = after[len(after) - self._old :]
        self.stopped = False
        self.back = 0
        """Last letters of `after` that turned out to belong to the stop string."""

    def feed(self, text: str) -> str:
        """The text that may be shown now; sets `stopped` once a stop string is complete."""
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
        """What was held back, once no more text will come."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, count: int) -> str:
        """Let the first `count` letters go; those that were shown before are not shown again."""
        again = min(self._old, count)
        shown, self._held = self._held[again:count], self._held[count:]
        self._old -= again
        return shown

    def _pending(self) -> int:
        """Length of the longest tail of the held text that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=0)
        for size in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0
