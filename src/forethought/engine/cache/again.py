"""Rows as they were before they went on, for a second way to go on."""

from __future__ import annotations

from forethought.engine.cache.sequence_cache import CacheMark, Segment, SequenceCache


def again(mark: CacheMark) -> SequenceCache:
    """A row as one was at a mark: what it shared stays shared, its own tail is copied.

    Unlike a fork it leaves the tail of the other row in one piece, however often this is done.
    Nothing may have been dropped since.
    """
    assert mark.kept == mark.tail.drops(), "dropped entries cannot come back"
    row = SequenceCache(len(mark.tail.layers))
    row.views, row.next = mark.views, mark.next
    extra = len(mark.tail.positions) - mark.positions
    row.tail = Segment(entries.copied() for entries in mark.tail.layers)
    row.tail.positions = mark.tail.positions[: mark.positions]
    for entries in row.tail.layers:
        if entries.length:
            entries.drop_newest(extra)
    return row


def moved(mark: CacheMark, start: CacheMark, onto: CacheMark) -> SequenceCache:
    """What a row held at a mark beyond `start`, copied behind what another held at `onto`.

    Of the row, nothing may have been dropped since `start`.
    """
    row = again(onto)
    count = mark.positions - start.positions
    beyond = len(mark.tail.positions) - mark.positions
    for layer, entries in enumerate(mark.tail.layers):
        keys, values = entries.newest(count + beyond)
        row.append(layer, keys[:, :count].transpose(0, 1), values[:, :count].transpose(0, 1))
    row.place(mark.tail.positions[start.positions : mark.positions])
    return row
