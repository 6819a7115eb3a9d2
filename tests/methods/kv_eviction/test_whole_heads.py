"""Head-level KVzip and DuoAttention: heads that keep the whole prompt or only its ends."""

import math

import pytest
import torch

from forethought.contracts.errors import BadParameterError
from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.whole_heads import WholeHeads
from forethought.methods.kv_eviction.duo_attention import DuoAttention
from forethought.methods.kv_eviction.evict import Evict
from forethought.methods.kv_eviction.importance.far_heads import FarHeads
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction
from forethought.methods.kv_eviction.importance.repeating_heads import RepeatingHeads
from forethought.methods.kv_eviction.kvzip_heads import KVzipHeads
from tests.methods.kv_eviction.test_kvzip import text_prompt
from tests.methods.reference import SlowCache, prompt_of, seen_layer
from tests.tiny import tiny_decoder, tokens_of

LENGTH = 40
TABLE = "0.5\t0.1\n0.9\t0.2\n0.3\t0.8\n"


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "heads.tsv"
    file.write_text(TABLE)
    return str(file)


def by_head(kept):
    return [head.tolist() for layer in kept for head in layer]


ENDS = [*range(3), *range(LENGTH - 5, LENGTH)]


@pytest.mark.parametrize(("keep", "whole"), [
    (8 + 32 // 6 + 1, {2}), (8 + 11, {2, 5}), (8 + 16, {2, 5, 0}), (39, {2, 5, 0, 4, 3}),
])  # fmt: skip
def test_the_heads_of_a_file_keep_all_or_the_ends(decoder, table, keep, whole):
    cache = SlowCache(decoder, prompt_of(tokens_of(LENGTH)))

    kept = by_head(DuoAttention(keep=keep, heads=table, sinks=3, window=5).on_cache(cache))

    # Heads by score: 0.9 of the third, 0.8 of the last, 0.5, 0.3, 0.2, 0.1.
    assert [n for n, head in enumerate(kept) if head == list(range(LENGTH))] == sorted(whole)
    assert all(head == ENDS for n, head in enumerate(kept) if n not in whole)
    assert sum(map(len, kept)) <= keep * 6


def test_a_file_of_heads_decides_for_kvzip_too(decoder, table):
    cache = SlowCache(decoder, text_prompt(tokens_of(LENGTH), {0, 1, 2, 38, 39}))

    kept = by_head(KVzipHeads(keep=6 + 12, heads=table).on_cache(cache))

    # 12 of 34 entries on average are two whole heads: 0.9 of the third, 0.8 of the last.
    ends = [0, 1, 2, 3, 38, 39]  # the template, the question and the 4 sinks
    assert kept == [list(range(LENGTH)) if n in (2, 5) else ends for n in range(6)]


def test_a_head_that_does_not_fit_ends_the_choice():
    rooms = [LayerRoom(0, 1, 5, 9, torch.tensor([[9.0] * 9, [-math.inf] * 5 + [1.0] * 4]))]

    assert WholeHeads().counts(rooms) == [[9, 0]]
    assert WholeHeads().counts([LayerRoom(0, 1, 4, 9, rooms[0].scores)]) == [[0, 0]]


@pytest.mark.parametrize(("text", "wrong"), [
    ("0.5 0.1\n0.2 high\n", "could not convert"), ("", "is empty"), ("0.5 0.1\n", "1 lines of 2"),
])  # fmt: skip
def test_a_file_of_something_else_is_refused(decoder, tmp_path, text, wrong):
    (tmp_path / "heads.tsv").write_text(text)
    method = KVzipHeads(keep=20, heads=str(tmp_path / "heads.tsv"))
    cache = SlowCache(decoder, prompt_of(tokens_of(LENGTH)))

    with pytest.raises(BadParameterError, match=wrong):
        method.on_cache(cache)


@pytest.mark.parametrize("method", [DuoAttention(keep=400), KVzipHeads(keep=20)], ids=repr)
def test_without_a_file_of_heads_the_prompt_is_not_prefilled(method):
    with pytest.raises(BadParameterError, match="no file of head scores is named"):
        method.on_prompt(prompt_of(tokens_of(LENGTH) * 12), None, 4)


def test_a_missing_file_is_refused_before_the_prefill():
    method, prompt = KVzipHeads(keep=20, heads="no.tsv"), prompt_of(tokens_of(LENGTH))

    with pytest.raises(BadParameterError, match="No such file"):
        method.on_prompt(prompt, None, 4)


def test_repeating_heads_score_by_their_best_entry(decoder):
    cache = SlowCache(decoder, text_prompt(tokens_of(LENGTH), {0, 1, 2, 38, 39}))
    scores = Reconstruction(chunk=12, overlap=4, sinks=2).score_cache(cache)
    best = [max(row[3:38].tolist()) for layer in scores for row in layer]
    count = 20 * 6 - 5 * 6  # besides template and question

    importance = RepeatingHeads(chunk=12, overlap=4, sinks=2).score_cache(cache)
    assert [float(head[0]) for layer in importance for head in layer] == best
    method = Evict(keep=20, importance="repeating-heads", allocation="whole-heads", chunk=12,
                   window=1, sinks=2)  # fmt: skip
    kept = by_head(method.on_cache(cache))
    scores = Reconstruction(chunk=12, sinks=2).score_cache(cache)
    best = [max(row[3:38].tolist()) for layer in scores for row in layer]

    order = sorted(range(6), key=lambda head: -best[head])
    whole = set(order[: count // 35])
    for n, head in enumerate(kept):
        assert head == (list(range(LENGTH)) if n in whole else [0, 1, 2, 38, 39])


def turned(vectors, positions):
    """Rotations of dimensions 0 and 4 by a fifth of the position, as a tensor of any length."""
    angle = positions.float()[:, None] / 5
    out = vectors.clone()
    x, y = vectors[..., 0], vectors[..., 4]
    out[..., 0], out[..., 4] = x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()
    return out


def test_the_reach_of_a_head_is_the_area_under_its_cumulative_attention():
    view = seen_layer(2, LENGTH, heads=6, turn=turned)
    where = torch.arange(LENGTH)

    found = FarHeads().reach(view)

    queries = turned(view.queries.double(), -where).mean(0)
    keys = turned(view.keys.double().transpose(0, 1), -where).mean(0)
    for k in range(2):
        total = 0.0
        for head in range(3 * k, 3 * k + 3):
            logits = []
            last = turned(queries[head][None, None], torch.tensor([499]))[0, 0]
            for place in range(500):
                key = turned(keys[k][None, None], torch.tensor([place]))[0, 0]
                logits.append(float(last @ key) * 8**-0.5)
            weights = [math.exp(x - max(logits)) for x in logits]
            seen, area = 0.0, 0.0
            for weight in weights:
                seen += weight / sum(weights)
                area += seen / 500
            total += area / 3
        assert float(found[k]) == pytest.approx(total, rel=1e-5)


def test_an_even_head_reaches_about_a_half():
    view = seen_layer(2, LENGTH, turn=turned)
    view.queries.zero_()

    torch.testing.assert_close(FarHeads().reach(view), torch.full((2,), 501 / 1000))


def test_far_heads_are_measured_on_the_prompt_itself(decoder):
    cache = SlowCache(decoder, prompt_of(tokens_of(LENGTH)))
    reach = torch.cat([FarHeads().reach(view) for view in cache.layers]).tolist()

    method = Evict(keep=24, importance="far-heads", allocation="whole-heads", sinks=3, window=5)
    kept = by_head(method.on_cache(cache))

    order = sorted(range(6), key=lambda head: -reach[head])
    assert {n for n, head in enumerate(kept) if len(head) == LENGTH} == set(order[:3])


def test_the_published_ends_are_128_and_256():
    assert (DuoAttention().sinks, DuoAttention().window) == (128, 256)
