"""Any importance under any allocation, again and again: budgets, off values, refusals."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from forethought.contracts.errors import BadParameterError, ModelError
from forethought.contracts.parameters import FileIn
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.methods.kv_eviction.evict import Evict
from forethought.methods.kv_eviction.expected_attention import ExpectedAttention
from forethought.methods.kv_eviction.h2o import H2O
from forethought.methods.kv_eviction.knorm import KNorm
from forethought.methods.kv_eviction.snapkv import SnapKV
from forethought.methods.kv_eviction.streaming_llm import StreamingLLM
from tests.fast_cases import fast_each
from tests.methods.reference import (
    SlowCache,
    TinyDraft,
    evicted_row,
    layers_after,
    prompt_of,
    seen_layer,
)
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

LENGTH, KEEP = 40, 18
IMPORTANCES, ALLOCATIONS = (
    FileIn(f"methods/kv_eviction/{folder}").names() for folder in ("importance", "allocation")
)
SETTINGS = {"keep": KEEP, "window": 4, "sinks": 2, "lookahead": 3, "future": 4, "beta": 3}


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def files(tmp_path):
    """Scores of the tiny model's six heads, and maps of its inputs to scores."""
    (tmp_path / "heads.tsv").write_text("3 1\n2 6\n5 4\n")
    draw = torch.Generator().manual_seed(0)
    maps = {f"layers.{n}.weight": torch.randn(2, 32, generator=draw) for n in range(3)}
    save_file(maps | {f"layers.{n}.bias": torch.zeros(2) for n in range(3)}, tmp_path / "maps")
    return {"heads": str(tmp_path / "heads.tsv"), "predictor": str(tmp_path / "maps")}


def kept_by(decoder, method, prompt):
    """What is kept of every layer, by whichever hook chooses; None where nothing is cut."""
    prompt = method.on_prompt(prompt, TinyDraft(decoder), 4)
    if method.sees_whole_cache():
        kept = method.on_cache(SlowCache(decoder, prompt))
    else:
        _, row = evicted_row(decoder, method, prompt)
        kept = [layer.kept for layer in row.tail.layers]
    return None if kept is None else [[head.tolist() for head in layer] for layer in kept]


def allowed(importance, allocation):
    apart = {"draft", "accumulated", "expected", "compact", "predicted"}
    return allocation not in ("global", "whole-heads") or importance not in apart


@pytest.mark.parametrize(
    ("importance", "allocation"),
    fast_each(3, product(IMPORTANCES, ALLOCATIONS)),
)
def test_every_combination_keeps_its_budget_or_is_refused(decoder, importance, allocation, files):
    prompt = prompt_of(tokens_of(LENGTH), protected={0, 7, 8, 39})
    method = Evict(importance=importance, allocation=allocation, **files, **SETTINGS)
    if not allowed(importance, allocation):
        with pytest.raises(BadParameterError, match="only known while a layer is read"):
            method.on_prompt(prompt, TinyDraft(decoder), 4)
        return

    kept = kept_by(decoder, method, prompt)

    again = importance == "draft"  # the last token is read again, within the budget
    total = sum(len(head) for layer in kept for head in layer)
    # Heads and chunks stay whole, so a part of the budget that fits none is not used.
    unused = {"whole-heads": KEEP - 4, "chunks": 20, "rounded-adaptive": 1}.get(allocation, 0)
    beyond = method.entries_beyond(3)
    assert KEEP - again - unused <= total / 6 <= KEEP - again + beyond
    end = LENGTH - again
    for layer in kept:
        spread = "pyramid" in allocation or allocation in ("global", "whole-heads")
        if not spread and not beyond:
            assert sum(map(len, layer)) == 2 * (KEEP - again)
        for head in layer:
            assert {0, 1, 7, 8, *range(end - 4, end)} <= set(head)
            assert head == sorted(set(head))
            assert head[-1] < end


@pytest.mark.parametrize("importance", IMPORTANCES)
@pytest.mark.parametrize("keep", [LENGTH, 1.0])
def test_a_budget_of_the_whole_prompt_is_exact(decoder, importance, keep, files):
    tokens, draft = tokens_of(LENGTH), TinyDraft(decoder)
    method = Evict(**{**SETTINGS, "keep": keep, "importance": importance, **files})

    prompt = method.on_prompt(prompt_of(tokens), draft, 4)

    assert not method.pays(LENGTH)
    assert draft.runs == 0
    if method.sees_whole_cache():
        assert method.on_cache(SlowCache(decoder, prompt)) is None
        return
    batch, row = evicted_row(decoder, method, prompt)
    logits = batch.step([row], [1])[0]
    torch.testing.assert_close(logits, fresh_logits(decoder, [*tokens, 1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("importance", ["draft", "own-lookahead", "reconstruction"])
def test_what_scores_a_whole_prompt_cannot_cut_again(decoder, importance):
    method = Evict(**SETTINGS, importance=importance, every=4)

    with pytest.raises(BadParameterError, match="cuts every 4 tokens"):
        method.on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 4)


def test_scores_that_are_no_numbers_are_never_chosen():
    view = seen_layer(0, LENGTH)
    view.keys[1, 20] = torch.nan

    with pytest.raises(ModelError, match="scores of layer 0 are not all numbers"):
        KNorm(keep=KEEP, whole_layers=0).on_layer(view)


def test_equal_scores_go_to_the_lower_index():
    view = seen_layer(0, LENGTH)
    view.keys[:] = 1.0

    kept = KNorm(keep=5, whole_layers=0).on_layer(view)

    assert [head.tolist() for head in kept] == [[0, 1, 2, 3, 4]] * 2


def test_short_keys_are_kept():
    view = seen_layer(0, LENGTH)
    view.keys[0, [3, 30]] *= 0.001
    view.keys[1, [9, 11]] *= 0.001

    assert [head.tolist() for head in KNorm(keep=2, whole_layers=0).on_layer(view)] == [
        [3, 30],
        [9, 11],
    ]


@pytest.mark.parametrize("every", [0, 5])
def test_the_first_layers_can_stay_whole(decoder, every):
    method = KNorm(keep=KEEP, every=every, whole_layers=2)

    _, row = evicted_row(decoder, method, prompt_of(tokens_of(LENGTH)))

    assert row.lengths() == (LENGTH, LENGTH, KEEP - every)


def test_chance_is_the_same_for_a_seed_and_differs_by_seed_layer_and_head(decoder):
    prompt = prompt_of(tokens_of(LENGTH))
    first, again, other = (
        kept_by(decoder, Evict(**SETTINGS, importance="random", seed=seed), prompt)
        for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other
    assert len({tuple(head) for layer in first for head in layer}) == 6


def test_an_entrys_chance_stays_the_same_as_the_text_grows():
    method = Evict(keep=6, window=1, sinks=0, importance="random")
    long, short = seen_layer(0, 50), seen_layer(0, 50)
    short.queries, short.keys, short.prompt_length = short.queries[:30], short.keys[:, :30], 30

    for whole, part in zip(method.on_layer(long), method.on_layer(short), strict=True):
        assert {place for place in whole.tolist() if place < 29} <= set(part.tolist())


def test_an_importance_known_layer_by_layer_can_share_over_all_layers(decoder):
    prompt = prompt_of(tokens_of(LENGTH))
    method = Evict(**SETTINGS, importance="window", allocation="global", pool="mean", kernel=1)
    assert method.sees_whole_cache()

    kept = kept_by(decoder, method, prompt)

    scores = torch.zeros(3, 2, LENGTH, device=decoder.device)
    for layer, (queries, keys, _) in enumerate(layers_after(decoder, list(prompt.tokens))[1]):
        for n in range(LENGTH - 4, LENGTH):
            for head in range(4):
                logits = keys[: n + 1, head // 2] @ queries[n, head] * 8**-0.5
                scores[layer, head // 2, : n + 1] += torch.softmax(logits, -1).float() / 8
    free = scores[:, :, 2:36]
    limit = free.flatten().sort(descending=True).values[6 * (KEEP - 6) - 1]
    for layer, head in product(range(3), range(2)):
        best = (free[layer, head] >= limit).nonzero().flatten() + 2
        assert kept[layer][head] == [0, 1, *best.tolist(), *range(36, LENGTH)]


def test_only_the_newest_queries_in_sight_give_the_same_choice(decoder):
    whole = seen_layer(3, LENGTH)
    part = seen_layer(3, LENGTH)
    part.queries = part.queries[-10:]
    method = SnapKV(keep=KEEP, window=8)

    for a, b in zip(method.on_layer(whole), method.on_layer(part), strict=True):
        assert a.tolist() == b.tolist()


def test_heads_that_hold_different_entries_are_cut_by_their_own(decoder):
    positions = torch.tensor([[*range(0, 20, 2), 30, 31], [0, 5, 6, 7, 9, 30, 31, *[0] * 5]])
    view = seen_layer(
        3, 12, held=torch.tensor([12, 7]), positions=positions, queries=2, prompt_length=32
    )
    view.protected = frozenset({6})

    kept = StreamingLLM(keep=5, sinks=1).on_layer(view)

    assert [positions[h, own].tolist() for h, own in enumerate(kept)] == [
        [0, 6, 18, 30, 31],
        [0, 6, 9, 30, 31],
    ]


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["uniform", "pyramid", "adaptive", "adaptive-pyramid"]),
    st.integers(7, 39),
    st.floats(0, 1),
    st.integers(1, 9),
    st.integers(0, 50),
)
def test_whatever_the_settings_all_layers_hold_exactly_the_budget(
    allocation, keep, alpha, beta, seed
):
    method = Evict(keep=keep, window=3, sinks=1, allocation=allocation, alpha=alpha, beta=beta)
    views = [
        seen_layer(seed + n, LENGTH, layer=n, layers=3, protected=frozenset({4, 5}))
        for n in range(3)
    ]
    for view in views:
        view.queries = view.queries[-3:]
        view.positions = torch.arange(LENGTH)

    kept = [method.on_layer(view) for view in views]
    lengths = [LENGTH * 2 if own is None else sum(map(len, own)) for own in kept]

    assert sum(lengths) == keep * 3 * 2


def test_needs_are_told_to_whoever_reads():
    assert H2O().needs_all_queries()
    assert ExpectedAttention().needs_all_queries()
    assert not SnapKV().needs_all_queries()
    assert H2O().newest_queries() is ExpectedAttention().newest_queries() is None
    assert SnapKV(window=40).newest_queries() == 40
    assert Evict(importance="draft", window=40).newest_queries() == 41
    assert Evict(importance="own-lookahead", window=40).newest_queries() == 40
    assert Evict(importance="recency").newest_queries() == 0
    assert Evict(importance="draft").uses_draft()
    assert not Evict().uses_draft()
    assert Evict(importance="compact").newest_queries() is None
    assert Evict(importance="critical", window=40).newest_queries() == 40
    assert Evict(importance="far-heads").newest_queries() is None
    assert SnapKV().evicts_every() == 0
    assert H2O().evicts_every() == 1


def test_a_row_cut_head_by_head_can_be_copied_and_continued(decoder):
    prompt = prompt_of(tokens_of(LENGTH))
    kept = Evict(**SETTINGS, importance="key-norm", allocation="global").on_cache(
        SlowCache(decoder, prompt)
    )
    batch, row = batch_of(decoder), SequenceCache(3)
    batch.prefill(row, prompt.tokens)

    cut = row.subset(kept)
    batch.step([cut], [3])

    assert sum(cut.lengths()) == pytest.approx((KEEP + 1) * 3)


@pytest.mark.parametrize(
    "importance",
    ["accumulated", "compact", "critical", "expected", "key-difference", "predicted", "window"],
)
def test_the_products_of_an_importance_are_charged(decoder, importance, files):
    prompt = prompt_of(tokens_of(LENGTH))
    plain, _ = evicted_row(decoder, Evict(**SETTINGS, importance="recency"), prompt)

    charged, _ = evicted_row(decoder, Evict(**SETTINGS, **files, importance=importance), prompt)

    assert charged.meter.flops > plain.meter.flops


@pytest.mark.parametrize("importance", ["far-heads", "reconstruction", "repeating-heads"])
def test_the_products_over_a_whole_cache_are_charged(decoder, importance):
    cache = SlowCache(decoder, prompt_of(tokens_of(LENGTH)))
    seen = []
    cache.layers = [replace(view) for view in cache.layers]
    cache._view = lambda *read, view=cache._view, **more: (
        seen.append(view(*read, **more)) or seen[-1]
    )

    Evict(**SETTINGS, importance=importance).on_cache(cache)

    assert sum(view.charged for view in [*cache.layers, *seen]) > 0
