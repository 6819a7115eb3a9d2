import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.methods.prompt_compression.specpc import SpecPC
from forethought.numerics.importance import tokens_to_keep
from tests.methods.reference import TinyDraft, attention_matrices, prompt_of, specpc_keep
from tests.tiny import tiny_decoder, tokens_of

LENGTH = 90


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def method(**changes):
    settings = {"keep": 40, "window": 8, "kernel": 6, "first_layer": 1, "last_layer": 3}
    return SpecPC(**{**settings, **changes})


@pytest.mark.parametrize("pool", ["max", "mean"])
@pytest.mark.parametrize("reduction", ["max", "mean"])
@pytest.mark.parametrize("seed", range(3))
def test_the_choice_equals_the_published_steps(decoder, reduction, pool, seed):
    tokens = tokens_of(LENGTH, seed)

    kept = method(reduction=reduction, pool=pool).on_prompt(
        prompt_of(tokens), TinyDraft(decoder), 16
    )

    matrices = attention_matrices(decoder, tokens)
    expected = specpc_keep(matrices, LENGTH, [], budget=40, window=8, kernel=6, neighbours=6,
                           first_layer=1, reduction=reduction, pool=pool)  # fmt: skip
    assert list(kept.origins) == expected
    assert kept.tokens == tuple(tokens[i] for i in expected)


def test_on_a_plateau_the_earlier_tokens_are_taken():
    scores = np.repeat([0.5, 0.1], [40, 10])
    kept = tokens_to_keep(scores, 8, window=2, neighbours=1, protected=frozenset())
    assert kept == [0, 1, 2, 3, 4, 5, 48, 49]


def test_rows_of_written_tokens_count_unweighted(decoder):
    tokens = tokens_of(LENGTH, 5)
    draft = TinyDraft(decoder)
    written = draft.read(prompt_of(tokens), lambda view: None, lookahead=5)

    kept = method(lookahead=5, reduction="mean").on_prompt(prompt_of(tokens), draft, 16)

    matrices = attention_matrices(decoder, [*tokens, *written[:-1]])
    expected = specpc_keep(matrices, LENGTH, written, budget=40, window=8, kernel=6,
                           neighbours=6, first_layer=1, reduction="mean")  # fmt: skip
    assert list(kept.origins) == expected
    without = method(reduction="mean").on_prompt(prompt_of(tokens), draft, 16)
    assert without.origins != kept.origins


def test_the_window_mean_averages_queries_then_takes_the_best_head(decoder):
    tokens = tokens_of(LENGTH, 1)

    kept = method(reduction="window-mean", weighted=False, kernel=1).on_prompt(
        prompt_of(tokens), TinyDraft(decoder), 16
    )

    matrices = [a for a, _, _ in attention_matrices(decoder, tokens)[1:]]
    scores = torch.stack([a[:, -8:].mean(1).amax(0) for a in matrices]).amax(0)
    best = [int(i) for i in scores.argsort(descending=True, stable=True) if i < LENGTH - 8]
    assert list(kept.origins) == sorted([*best[:32], *range(LENGTH - 8, LENGTH)])


def test_a_draft_that_stops_early_gives_the_same_scores(decoder):
    tokens = tokens_of(LENGTH, 2)

    early = method(last_layer=2).on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)

    matrices = attention_matrices(decoder, tokens)[:2]
    expected = specpc_keep(matrices, LENGTH, [], budget=40, window=8, kernel=6, neighbours=6,
                           first_layer=1)  # fmt: skip
    assert list(early.origins) == expected


def test_a_written_look_ahead_counts_the_same_layers(decoder):
    tokens = tokens_of(LENGTH, 2)
    draft = TinyDraft(decoder)

    kept = method(last_layer=2, lookahead=4).on_prompt(prompt_of(tokens), draft, 16)

    written = TinyDraft(decoder).read(prompt_of(tokens), lambda view: None, lookahead=4)
    matrices = attention_matrices(decoder, [*tokens, *written])[:2]
    expected = specpc_keep(matrices, LENGTH, written, budget=40, window=8, kernel=6, neighbours=6,
                           first_layer=1)  # fmt: skip
    assert list(kept.origins) == expected


@pytest.mark.parametrize("keep", [LENGTH, LENGTH + 1, 1.0])
def test_a_budget_of_the_whole_prompt_runs_no_draft_and_drops_nothing(decoder, keep):
    draft, prompt = TinyDraft(decoder), prompt_of(tokens_of(LENGTH))

    assert method(keep=keep).on_prompt(prompt, draft, 16) is prompt
    assert draft.runs == 0


def test_a_prompt_shorter_than_the_window_works(decoder):
    kept = method(keep=5, window=64).on_prompt(prompt_of(tokens_of(9)), TinyDraft(decoder), 16)

    assert list(kept.origins) == [4, 5, 6, 7, 8]


def test_a_window_of_one_query_still_scores(decoder):
    tokens = tokens_of(LENGTH)

    kept = method(window=1, kernel=1).on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)

    expected = specpc_keep(attention_matrices(decoder, tokens), LENGTH, [], budget=40, window=1,
                           kernel=1, neighbours=1, first_layer=1)  # fmt: skip
    assert list(kept.origins) == expected


def test_protected_tokens_stay_and_need_room(decoder):
    protected = {0, 1, 2, 50, 51}
    prompt = prompt_of(tokens_of(LENGTH), protected)

    kept = method(keep=14).on_prompt(prompt, TinyDraft(decoder), 16)

    assert protected <= set(kept.origins)
    assert {kept.origins[i] for i in kept.protected} == protected
    with pytest.raises(BudgetTooSmallError, match="but 5 must stay"):
        method(keep=4).on_prompt(prompt, TinyDraft(decoder), 16)


@given(
    length=st.integers(2, 200),
    budget=st.integers(1, 200),
    window=st.integers(1, 40),
    neighbours=st.integers(1, 33),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_choice_is_ascending_full_and_holds_the_window(length, budget, window, neighbours, seed):
    scores = np.random.default_rng(seed).random(length)

    kept = tokens_to_keep(
        scores, budget, window=window, neighbours=neighbours, protected=frozenset()
    )

    assert len(kept) == min(budget, length)
    assert kept == sorted(set(kept))
    assert kept[0] >= 0
    assert kept[-1] < length
    newest = set(range(max(0, length - min(window, budget)), length))
    assert newest <= set(kept)


def test_a_lone_peak_brings_its_pooled_and_neighbouring_span():
    from forethought.numerics.importance import pooled

    scores, peak, kernel = torch.zeros(400), 200, 32
    scores[peak] = 1.0
    smooth = pooled(scores, kernel, "max")

    # 32 plateau tokens, each with 32 neighbours: peak - 31 to peak + 31, and 8 of the window.
    kept = tokens_to_keep(smooth.numpy(), 63 + 8, window=8, neighbours=kernel,
                          protected=frozenset())  # fmt: skip

    assert kept == [*range(peak - 31, peak + 32), *range(392, 400)]


def test_the_settings_are_those_of_the_authors_file_for_qwen():
    assert SpecPC() == SpecPC(
        keep=1024, window=64, pool="max", kernel=64, neighbours=None, reduction="max",
        weighted=True, lookahead=1, first_layer=8, last_layer=None,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_the_defaults_are_those_of_the_authors_settings(reduction):
    deep = tiny_decoder(seed=4, num_hidden_layers=10, max_position_embeddings=512)
    tokens = tokens_of(330, 6)

    kept = SpecPC(keep=200, reduction=reduction).on_prompt(prompt_of(tokens), TinyDraft(deep), 16)

    expected = specpc_keep(attention_matrices(deep, tokens), 330, [], budget=200, window=64,
                           kernel=64, neighbours=64, first_layer=8,
                           reduction=reduction)  # fmt: skip
    assert list(kept.origins) == expected


def test_the_whole_draft_runs_and_a_shallow_one_is_refused(decoder):
    deep = TinyDraft(tiny_decoder(num_hidden_layers=10))
    assert SpecPC().draft_layers(deep) == 10

    with pytest.raises(BadParameterError, match="first_layer is 8") as caught:
        SpecPC(keep=80).on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)
    assert "below 3" in caught.value.hint
