"""The newest queries of a cache, and no more of them."""

import torch

from forethought.engine.cache.query_window import QueryWindow


def test_no_more_is_held_than_was_asked_for_and_a_step():
    recent, pushed = QueryWindow(6), torch.arange(300.0).view(300, 1, 1)
    places = iter(pushed)
    for size in [1, 4, 9, 2] * 10 + [1] * 100:
        recent.push(0, torch.stack([next(places) for _ in range(size)]))
        assert sum(map(len, recent._layers[0])) < 6 + 9
    for step in places:
        recent.push(0, step[None])
        assert sum(map(len, recent._layers[0])) <= 6

    assert recent.at(0).flatten().tolist() == list(range(294, 300))
