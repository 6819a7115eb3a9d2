"""SpecKV, SpecKV-PC, SnapKV and StreamingLLM against slow references and their own limits."""

import pytest
import torch

from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.methods.kv_eviction.snapkv import SnapKV
from forethought.methods.kv_eviction.speckv import SpecKV
from forethought.methods.kv_eviction.speckv_pc import SpecKVPC
from forethought.methods.kv_eviction.streaming_llm import StreamingLLM
from tests.methods.reference import (
    TinyDraft,
    attention_matrices,
    evicted_row,
    prompt_of,
    specpc_keep,
    window_keep,
)
from tests.tiny import fresh_logits, tiny_decoder, tokens_of

LENGTH, KEEP, WINDOW = 80, 24, 8


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("reduction", ["max", "mean"])
@pytest.mark.parametrize("pool", ["max", "mean"])
@pytest.mark.parametrize("seed", range(2))
def test_speckv_keeps_what_the_published_steps_keep(decoder, reduction, pool, seed):
    tokens, draft = tokens_of(LENGTH, seed), TinyDraft(tiny_decoder(seed=9))
    method = SpecKV(keep=KEEP, window=WINDOW, reduction=reduction, pool=pool, lookahead=6)

    prompt = method.on_prompt(prompt_of(tokens), draft, 16)
    _, row = evicted_row(decoder, method, prompt)

    matrices = attention_matrices(decoder, [*tokens, *prompt.lookahead])
    for layer, (attention, keys, values) in enumerate(matrices):
        # One less than published: the last token, read again, is within the budget here.
        kept = window_keep(attention, 2, LENGTH, budget=KEEP - WINDOW - 1, window=WINDOW + 1,
                           kernel=7, drop=WINDOW + 1, reduction=reduction, pool=pool)  # fmt: skip
        held = row.tail.layers[layer]
        for head in range(2):
            expected = [*kept[head], *range(LENGTH - WINDOW - 1, LENGTH - 1)]
            assert held.kept[head].tolist() == expected
            torch.testing.assert_close(held.keys[head], keys[head, expected])
            torch.testing.assert_close(held.values[head], values[head, expected])


def test_after_speckv_the_last_prompt_token_is_read_again_at_its_true_place(decoder):
    tokens = tokens_of(LENGTH)
    method = SpecKV(keep=KEEP, window=WINDOW, lookahead=5)
    prompt = method.on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)

    batch, row = evicted_row(decoder, method, prompt)
    row.truncate(LENGTH - 1)

    assert row.next == LENGTH - 1
    batch.prefill(row, tokens[-1:])
    assert {entries.length for entries in row.tail.layers} == {KEEP}
    batch.step([row], [1])
    assert row.head_positions(0, 2)[0][-2:].tolist() == [LENGTH - 1, LENGTH]


def test_a_budget_of_the_prompt_runs_no_draft(decoder):
    tokens, draft = tokens_of(LENGTH), TinyDraft(decoder)
    method = SpecKV(keep=LENGTH, window=WINDOW)

    assert method.on_prompt(prompt_of(tokens), draft, 16).lookahead is None
    assert draft.runs == 0


def test_an_end_token_counts_and_ends_the_lookahead(decoder):
    first = TinyDraft(decoder).read(prompt_of(tokens_of(LENGTH)), lambda view: None, lookahead=1)
    method = SpecKV(keep=KEEP, window=WINDOW)

    prompt = method.on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder, ends=first), 16)

    assert list(prompt.lookahead) == first
    _, row = evicted_row(decoder, method, prompt)
    assert {entries.length for entries in row.tail.layers} == {KEEP - 1}


@pytest.mark.parametrize("method", [
    SpecKV(keep=KEEP, window=WINDOW),
    SpecKVPC(prompt_keep=50, prompt_window=10, first_layer=1, keep=KEEP, window=WINDOW,
             lookahead=None),
], ids=repr)  # fmt: skip
def test_the_lookahead_is_as_long_as_the_answer_may_be(decoder, method):
    prompt = method.on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 11)

    assert len(prompt.lookahead) == 11


def test_a_chunked_score_equals_an_unchunked_one(decoder, monkeypatch):
    tokens, draft = tokens_of(LENGTH), TinyDraft(decoder)
    method = SpecKV(keep=KEEP, window=WINDOW, lookahead=6, reduction="mean")
    prompt = method.on_prompt(prompt_of(tokens), draft, 16)
    _, whole = evicted_row(decoder, method, prompt)

    monkeypatch.setattr("forethought.cost.flops._SCORE_BYTES", 4 * 4 * LENGTH * 2)
    _, chunked = evicted_row(decoder, method, prompt)

    for a, b in zip(whole.tail.layers, chunked.tail.layers, strict=True):
        assert torch.equal(a.kept, b.kept)


@pytest.mark.parametrize("pool", ["max", "mean"])
@pytest.mark.parametrize("seed", range(2))
def test_snapkv_keeps_what_the_published_steps_keep(decoder, pool, seed):
    tokens = tokens_of(LENGTH, seed)
    method = SnapKV(keep=KEEP, window=WINDOW, kernel=5, pool=pool)

    _, row = evicted_row(decoder, method, prompt_of(tokens))

    for layer, (attention, _, _) in enumerate(attention_matrices(decoder, tokens)):
        kept = window_keep(attention, 2, LENGTH, budget=KEEP - WINDOW, window=WINDOW, kernel=5,
                           drop=WINDOW, reduction="mean", pool=pool)  # fmt: skip
        for head in range(2):
            expected = [*kept[head], *range(LENGTH - WINDOW, LENGTH)]
            assert row.tail.layers[layer].kept[head].tolist() == expected


def test_streaming_keeps_sinks_and_the_newest(decoder):
    method = StreamingLLM(keep=KEEP, sinks=4)

    _, row = evicted_row(decoder, method, prompt_of(tokens_of(LENGTH)))

    expected = [0, 1, 2, 3, *range(LENGTH - KEEP + 4, LENGTH)]
    for entries in row.tail.layers:
        assert entries.kept.tolist() == [expected, expected]


def test_the_cascade_drafts_once_and_chooses_as_its_two_stages(decoder):
    tokens, draft = tokens_of(LENGTH, 4), TinyDraft(tiny_decoder(seed=9))
    method = SpecKVPC(prompt_keep=50, prompt_window=10, prompt_kernel=6, first_layer=1,
                      keep=KEEP, window=WINDOW, lookahead=6)  # fmt: skip

    prompt = method.on_prompt(prompt_of(tokens), draft, 16)
    _, row = evicted_row(decoder, method, prompt)

    assert draft.runs == 1
    written = list(prompt.lookahead)
    drafted = attention_matrices(draft.decoder, [*tokens, *written[:-1]])
    expected = specpc_keep(drafted, LENGTH, written, budget=50, window=10, kernel=6,
                           neighbours=6, first_layer=1)  # fmt: skip
    assert list(prompt.origins) == expected
    compact = [tokens[i] for i in expected]
    attention = attention_matrices(decoder, [*compact, *written])[0][0]
    kept = window_keep(attention, 2, 50, budget=KEEP - WINDOW - 1, window=WINDOW + 1, kernel=7,
                       drop=WINDOW + 1, reduction="max", pool="max")  # fmt: skip
    for head in range(2):
        assert row.tail.layers[0].kept[head].tolist() == [*kept[head], *range(41, 49)]


def test_the_published_cascade_scores_by_the_drafts_layers_from_8_to_the_last():
    tokens, draft = tokens_of(LENGTH, 4), TinyDraft(tiny_decoder(seed=9, num_hidden_layers=10))
    draft.layer_span = (1, 3)  # what methods use that stop the draft early
    settings = {"prompt_keep": 40, "prompt_window": 10, "prompt_kernel": 6, "keep": KEEP,
                "window": WINDOW, "lookahead": 4}  # fmt: skip

    prompt = SpecKVPC(**settings).on_prompt(prompt_of(tokens), draft, 16)
    fewer = SpecKVPC(**settings, last_layer=9).on_prompt(prompt_of(tokens), draft, 16)

    written = list(prompt.lookahead)
    drafted = attention_matrices(draft.decoder, [*tokens, *written[:-1]])
    chosen = {"budget": 40, "window": 10, "kernel": 6, "neighbours": 6, "first_layer": 8}
    assert list(prompt.origins) == specpc_keep(drafted, LENGTH, written, **chosen)
    assert list(fewer.origins) == specpc_keep(drafted[:9], LENGTH, written, **chosen)
    assert fewer.origins != prompt.origins


def test_a_draft_without_such_layers_is_refused(decoder):
    method = SpecKVPC(prompt_keep=40, prompt_window=10, keep=KEEP, window=WINDOW)

    with pytest.raises(BadParameterError, match="no layer of the draft tiny is counted"):
        method.on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)


def test_the_defaults_of_the_cascade_are_those_of_its_authors_code():
    method = SpecKVPC()

    assert (method.prompt_keep, method.prompt_window, method.prompt_kernel) == (2048, 64, 32)
    assert (method.first_layer, method.last_layer, method.prompt_reduction) == (8, None, "max")
    assert (method.window, method.kernel, method.reduction) == (32, 7, "max")
    assert method.lookahead == 20


def test_the_cascade_with_a_whole_prompt_is_speckv(decoder):
    tokens, draft = tokens_of(LENGTH, 4), TinyDraft(decoder)
    cascade = SpecKVPC(prompt_keep=LENGTH, keep=KEEP, window=WINDOW, lookahead=6)
    alone = SpecKV(keep=KEEP, window=WINDOW, lookahead=6)

    rows = [
        evicted_row(decoder, method, method.on_prompt(prompt_of(tokens), draft, 16))[1]
        for method in (cascade, alone)
    ]

    for a, b in zip(rows[0].tail.layers, rows[1].tail.layers, strict=True):
        assert torch.equal(a.kept, b.kept)


METHODS = [
    SpecKV(keep=LENGTH, window=WINDOW),
    SpecKVPC(prompt_keep=LENGTH, keep=LENGTH, window=WINDOW),
    SnapKV(keep=LENGTH, window=WINDOW),
    StreamingLLM(keep=LENGTH),
    SpecKV(keep=1.0),
    SpecKVPC(prompt_keep=1.0, keep=1.0),
    SnapKV(keep=1.0),
    StreamingLLM(keep=1.0),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_budget_of_the_whole_prompt_is_exact(decoder, method):
    tokens, draft = tokens_of(LENGTH), TinyDraft(decoder)
    assert not method.pays(LENGTH)

    prompt = method.on_prompt(prompt_of(tokens), draft, 16)
    batch, row = evicted_row(decoder, method, prompt)
    logits = batch.step([row], [1])[0]

    assert draft.runs == 0
    torch.testing.assert_close(logits, fresh_logits(decoder, [*tokens, 1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", [
    SpecKV(keep=KEEP, window=WINDOW), SnapKV(keep=KEEP, window=WINDOW), StreamingLLM(keep=KEEP),
], ids=repr)  # fmt: skip
def test_protected_entries_stay_within_the_budget(decoder, method):
    prompt = prompt_of(tokens_of(LENGTH), protected={0, 1, 30, 79})

    prompt = method.on_prompt(prompt, TinyDraft(decoder), 16)
    _, row = evicted_row(decoder, method, prompt)

    for entries in row.tail.layers:
        assert entries.length == KEEP - method.uses_draft()
        assert all({0, 1, 30} <= set(head) for head in entries.kept.tolist())


@pytest.mark.parametrize("method", [
    SpecKV(keep=8, window=8), SnapKV(keep=8, window=8), StreamingLLM(keep=8, sinks=8),
    SpecKV(keep=12, window=8), SnapKV(keep=12, window=8), StreamingLLM(keep=12, sinks=8),
], ids=repr)  # fmt: skip
def test_a_budget_that_cannot_hold_what_must_stay_is_refused(decoder, method):
    prompt = prompt_of(tokens_of(LENGTH), protected=range(20, 26))

    with pytest.raises(BudgetTooSmallError, match="keeps"):
        method.on_prompt(prompt, TinyDraft(decoder), 16)


@pytest.mark.parametrize("method", [
    SpecKV(keep=9, window=8), SnapKV(keep=8, window=8), StreamingLLM(keep=8, sinks=8),
], ids=repr)  # fmt: skip
def test_a_window_of_the_whole_budget_is_refused(decoder, method):
    with pytest.raises(BudgetTooSmallError, match="keeps"):
        method.on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)
