"""A prompt that was read whole, as our engine holds it, against loops that compute all anew."""

from __future__ import annotations

import pytest
import torch

from forethought import catalogue
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.prefill.full_cache import FullCache
from tests.methods.reference import SlowCache, prompt_of
from tests.tiny import batch_of, tokens_of
from tests.tiny_model import tiny_model

MODEL = tiny_model(seed=4)
LENGTH = 40


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def both(seed=0):
    """The same prompt twice: read by the engine, and by loops."""
    prompt = prompt_of(tokens_of(LENGTH, seed))
    batch, row = batch_of(MODEL.network), SequenceCache(len(MODEL.shape.layers), LENGTH)
    row.query_window = QueryWindow(LENGTH)
    logits = batch.prefill(row, prompt.tokens)
    return FullCache(batch, row, prompt, MODEL, logits), SlowCache(MODEL.network, prompt)


def rows(view, count):
    return torch.cat(list(view.window_rows(count)), 2)


def held(row):
    return [tuple(part.clone() for part in (one.keys, one.values)) for one in row.tail.layers]


def same(views, expected, count):
    for one, other in zip(views, expected, strict=True):
        torch.testing.assert_close(one.keys, other.keys)
        torch.testing.assert_close(one.queries, other.queries)
        torch.testing.assert_close(rows(one, count), rows(other, count), check_dtype=False)


@pytest.mark.parametrize("seed", range(3))
def test_written_tokens_attend_to_all_of_the_prompt_from_behind_it(seed):
    whole, slow = both(seed)
    kept = [torch.arange(layer, LENGTH, 3).expand(2, -1) for layer in range(3)]

    views = whole.write(kept, 6)

    same(views, slow.write(kept, 6), 9)
    for view in views:
        assert rows(view, 1).sum(-1).cpu() == pytest.approx(torch.ones(2, 2, 1))
        assert float(rows(view, 1)[..., -1].min()) > 0


def test_what_is_written_on_trial_leaves_no_trace():
    whole, _ = both()
    before, end = held(whole.cache), whole.cache.next

    whole.write([torch.arange(9).expand(2, -1)] * 3, 6)

    assert whole.cache.next == end
    for old, new in zip(before, held(whole.cache), strict=True):
        assert all(torch.equal(*pair) for pair in zip(old, new, strict=True))


@pytest.mark.parametrize(
    "spelled",
    [
        "laq(keep=16, window=4, first_window=6, lookahead=5)",
        "laq(keep=16, window=0, first_window=6, lookahead=8)",
    ],
)
def test_a_choice_is_the_one_that_loops_come_to(spelled):
    for seed in range(3):
        whole, slow = both(seed)
        kept = catalogue.build(spelled).on_cache(whole)
        expected = catalogue.build(spelled).on_cache(slow)
        for layer, other in zip(kept, expected, strict=True):
            assert [head.tolist() for head in layer] == [head.tolist() for head in other]
