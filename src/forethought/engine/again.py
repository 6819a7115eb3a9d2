"""A row as it was before it went on, for a second way to go on."""

from __future__ import annotations

from forethought.engine.cache import Mark, Row, Segment


def again(mark: Mark) -> Row:
    """A row as one was at a mark: what it shared stays shared, its own tail is copied.

    Unlike a fork it leaves the tail of the other row in one piece, however often this is done.
    Nothing may have been dropped since.
    """
    assert mark.kept == mark.tail.drops(), "dropped entries cannot come back"
    row = Row(len(mark.tail.layers))
    row.views, row.next = mark.views, mark.next
    extra = len(mark.tail.positions) - mark.positions
    row.tail = Segment(entries.copied() for entries in mark.tail.layers)
    row.tail.positions = mark.tail.positions[: mark.positions]
    for entries in row.tail.layers:
        if entries.length:
            entries.drop_newest(extra)
    return row
