"""Searches that Ctrl-C ends keep the best that there is."""

from __future__ import annotations

import pytest

from forethought.backends.known import KnownBackend
from tests.driver.searches import Twice, delays, searched, three_steps


class Interrupted(KnownBackend):
    """Ctrl-C comes while it waits, the `after`th time."""

    after = 1
    polls = 0

    def poll(self, until=None):
        self.polls += 1
        if self.polls == self.after:
            raise KeyboardInterrupt
        return super().poll(until)


@pytest.mark.parametrize("after", [2, 3, 4])
def test_an_interruption_keeps_the_best_there_is(after):
    backend = Interrupted(three_steps, delay=delays(5))
    backend.after = after
    done = searched(Twice(), backend=backend)

    assert done.cut == "interrupted"
    assert done.found.best.text
    if any(one.finish == "stop" for one in done.found.considered):
        assert done.found.best.finish == "stop"


def test_an_interruption_before_anything_was_written_is_an_error():
    with pytest.raises(KeyboardInterrupt):
        searched(Twice(), backend=Interrupted(three_steps))


class Losing(KnownBackend):
    """Ctrl-C comes while an outcome arrives, which is lost; nothing else moves the clock."""

    polls = 0

    def poll(self, until=None):
        self.polls += 1
        assert self.polls < 20, "the back end has nothing that could arrive"
        if self.polls == 3:
            super().poll(None)
            raise KeyboardInterrupt
        return super().poll(None) if self._waiting else []


def test_an_outcome_that_an_interruption_lost_is_not_waited_for():
    done = searched(Twice(), backend=Losing(three_steps, delay=delays(5)))

    assert done.cut == "interrupted"
    assert done.found.best.text
