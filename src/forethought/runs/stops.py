"""Ends an answer at a stop string, without ever showing part of one."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Passes text through, holding back what may yet become a stop string."""

    def __init__(self, stops: Sequence[str], keep: bool) -> None:
        self._stops = [stop for stop in stops if stop]
        self._keep = keep
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that may be shown now; sets `stopped` once a stop string is complete."""
        if self.stopped:
            return ""
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            # The one that is complete first: how the text came in pieces changes nothing.
            end, start = min(found)
            self.stopped = True
            return self._release(end if self._keep else start)
        return self._release(len(self._held) - self._pending())

    def finish(self) -> str:
        """What was held back, once no more text will come."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, count: int) -> str:
        shown, self._held = self._held[:count], self._held[count:]
        return shown

    def _pending(self) -> int:
        """Length of the longest tail of the held text that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=0)
        for size in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0
