"""Copies of entries that lie in several segments."""

from __future__ import annotations

from collections.abc import Sequence

from forethought.engine.cache.segment import Segment, SegmentPart, SegmentView
from forethought.engine.cache.sequence_cache import SequenceCache

MOST_SEGMENTS = 8
"""Segments of a match: decode attends to each one in turn."""


def segment_of(cache: SequenceCache, start: int, stop: int) -> Segment:
    """Copies of the entries of a cache's tokens from `start` to `stop`; none may be evicted."""
    parts, begin = [], 0
    for view in (*cache.views, SegmentView(cache.tail)):
        end = begin + len(view.segment.positions) - view.unseen
        first, last = max(start, begin), min(stop, end)
        if first < last:
            parts.append(SegmentPart(view.segment, first - begin, last - begin))
        begin = end
    return Segment.of(parts)


def few_views(views: list[SegmentView]) -> list[SegmentView]:
    """The views, the last ones joined in a copy if there are too many."""
    if len(views) <= MOST_SEGMENTS:
        return views
    first, rest = views[: MOST_SEGMENTS - 1], views[MOST_SEGMENTS - 1 :]
    return [*first, join(rest)]


def join(views: Sequence[SegmentView]) -> SegmentView:
    """Copies of the visible entries of several segments in one."""
    parts = [SegmentPart(one.segment, 0, len(one.segment.positions) - one.unseen) for one in views]
    return SegmentView(Segment.of(parts))
