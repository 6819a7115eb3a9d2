import math
from dataclasses import replace

import pytest
import torch

from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.methods.prompt_compression._query_scores import QueryScores
from forethought.methods.prompt_compression.spec_prefill import SpecPrefill
from tests.methods.reference import TinyDraft, attention_matrices, prompt_of, seen_layer
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
    return SpecPrefill(**{"keep": 40, "kernel": 5, "chunk": 8, "lookahead": 4, **changes})


def token_scores(matrices, queries, kernel):
    """The published steps, one number at a time; attention rows are `queries` of `matrices`."""
    half, means = kernel // 2, [0.0] * LENGTH
    for query in queries:
        best = [0.0] * LENGTH
        for attention, _, _ in matrices:
            for head in attention:
                row = head[query, :LENGTH].tolist()
                row = [value / sum(row) for value in row]
                padded = [0.0] * half + row + [0.0] * half
                smooth = [sum(padded[i : i + kernel]) / kernel for i in range(LENGTH)]
                best = [max(pair) for pair in zip(best, smooth, strict=True)]
        means = [a + b / len(queries) for a, b in zip(means, best, strict=True)]
    return means


def expected(scores, chunk, budget, protected=()):
    chunks = [range(i, min(i + chunk, LENGTH)) for i in range(0, LENGTH, chunk)]
    ranked = sorted(chunks, key=lambda c: (-sum(scores[i] for i in c) / len(c), c.start))
    kept = list(protected)
    for place in [*reversed(chunks[-1]), *(i for c in ranked for i in c)]:
        if place not in kept and len(kept) < budget:
            kept.append(place)
    return sorted(kept)


def best_chunks(scores, chunk, share):
    """The published choice: whole chunks alone, as many as the share of them says."""
    chunks = [range(i, min(i + chunk, LENGTH)) for i in range(0, LENGTH, chunk)]
    ranked = sorted(chunks, key=lambda c: (-sum(scores[i] for i in c) / len(c), c.start))
    chosen = ranked[: math.ceil(len(chunks) * share)]
    return sorted(i for c in chosen for i in c)


@pytest.mark.parametrize("keep", [0.25, 0.5, 40, 7])
@pytest.mark.parametrize("seed", range(3))
def test_without_protection_whole_chunks_stay_as_the_authors_choose_them(decoder, seed, keep):
    tokens = tokens_of(LENGTH, seed)
    draft = TinyDraft(decoder)
    written = draft.read(prompt_of(tokens), lambda view: None, lookahead=4)
    published = method(keep=keep, protect=False)

    kept = published.on_prompt(prompt_of(tokens, {0, 89}), draft, 16)

    matrices = attention_matrices(decoder, [*tokens, *written[:-1]])
    scores = token_scores(matrices, range(LENGTH - 1, LENGTH + 3), 5)
    share = keep if isinstance(keep, float) else keep / LENGTH
    assert list(kept.origins) == best_chunks(scores, 8, share)
    assert len(kept.origins) <= published.reads(LENGTH)


def test_a_short_last_chunk_ranks_by_its_mean():
    class Scored(TinyDraft):
        def recall(self, what, prompt, find):
            return torch.tensor([0.5] * 88 + [0.9] * 2)

    draft = Scored(tiny_decoder())
    kept = method(keep=0.1, protect=False).on_prompt(prompt_of(tokens_of(LENGTH)), draft, 16)

    assert list(kept.origins) == [*range(8), 88, 89]


def test_drafted_queries_may_score_alone(decoder):
    tokens = tokens_of(LENGTH, 2)
    draft = TinyDraft(decoder)
    written = draft.read(prompt_of(tokens), lambda view: None, lookahead=5)

    kept = method(window=0, lookahead=5).on_prompt(prompt_of(tokens), draft, 16)

    matrices = attention_matrices(decoder, [*tokens, *written[:-1]])
    scores = token_scores(matrices, range(LENGTH, LENGTH + 4), 5)
    assert list(kept.origins) == expected(scores, 8, 40)


@pytest.mark.parametrize("layers", ["all", "last"])
def test_the_last_prompt_queries_may_score_alone_without_rotary_embedding(decoder, layers):
    tokens = tokens_of(LENGTH, 3)
    settings = {"window": 6, "lookahead": 1, "rotary": False, "pool": "scores", "layers": layers}

    kept = method(**settings, protect=False).on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)

    seen = unrotated_matrices(decoder, tokens)[-1 if layers == "last" else 0 :]
    rows = range(LENGTH - 6, LENGTH)
    best = [[max(a[q, j] for layer in seen for a in layer) for j in range(LENGTH)] for q in rows]
    means = [sum(row[j] for row in best) / 6 for j in range(LENGTH)]
    smooth = []
    for j in range(LENGTH):
        near = means[max(0, j - 2) : j + 3]
        smooth.append(sum(near) / len(near))
    assert list(kept.origins) == best_chunks(smooth, 8, 40 / LENGTH)
    turned = method(**{**settings, "rotary": True}, protect=False)
    assert turned.on_prompt(prompt_of(tokens), TinyDraft(decoder), 16) != kept


def unrotated_matrices(decoder, tokens):
    """Per layer and head: attention [L, L] over queries and keys turned back by hand."""
    found = []

    def attend(layer, queries, keys, values):
        shape = decoder.shape.layers[layer]
        groups, half = shape.heads // shape.kv_heads, queries.shape[-1] // 2
        places = torch.arange(len(queries)).double()[:, None]
        angles = places * 10000.0 ** (-torch.arange(half).double() / half)
        heads, mixed = [], []
        for head in range(shape.heads):
            q, k = (
                torch.cat(
                    [a * angles.cos() + b * angles.sin(), b * angles.cos() - a * angles.sin()], 1
                )
                for a, b in (x.split(half, 1) for x in (queries[:, head], keys[:, head // groups]))
            )
            hidden = torch.ones(len(q), len(q)).triu(1).bool()
            weights, plain = (
                torch.softmax((a @ b.T * shape.scale).masked_fill(hidden, -torch.inf), -1)
                for a, b in ((q, k), (queries[:, head], keys[:, head // groups]))
            )
            heads.append(weights.numpy())
            mixed.append(plain @ values[:, head // groups])
        found.append(heads)
        return torch.stack(mixed, 1).flatten(1)

    places = torch.arange(len(tokens))
    decoder.forward(torch.tensor(tokens), places, attend, phase="prefill")
    return found


def test_layers_with_a_sliding_window_may_be_left_out():
    full, sliding = seen_layer(0, 20), seen_layer(1, 20, layer=1)
    sliding.shape = replace(sliding.shape, window=8)
    alone, both, none = (QueryScores(1, 5, "rows", True, "full") for _ in range(3))

    alone.look(full)
    for view in (full, sliding):
        both.look(view)
    none.look(sliding)

    assert torch.equal(both.mean("small"), alone.mean("small"))
    with pytest.raises(BadParameterError, match="no layer of the draft small has full attention"):
        none.mean("small")


def test_a_method_without_any_query_is_refused(decoder):
    with pytest.raises(BadParameterError, match="no query that scores"):
        method(window=0, lookahead=1).on_prompt(
            prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16
        )


def chunks_kept(decoder, **settings):
    kept = method(**settings, protect=False).on_prompt(
        prompt_of(tokens_of(LENGTH, 5)), TinyDraft(decoder), 16
    )
    return sorted({place // 8 for place in kept.origins})


def test_the_first_and_the_last_chunks_may_always_stay(decoder):
    chunks = chunks_kept(decoder, head=2, tail=3, keep=0.6)

    assert len(chunks) == 8  # of 12
    assert {0, 1, 9, 10, 11} <= set(chunks)
    # Of five chunks, one is left to the best: 2 * 4 // 5 at the head, 4 - 1 at the tail.
    small = chunks_kept(decoder, head=2, tail=3, keep=0.4)
    assert len(small) == 5
    assert {0, 9, 10, 11} <= set(small)
    assert 1 not in small


def test_a_backbone_stays_at_even_distances(decoder):
    chunks = chunks_kept(decoder, backbone=0.3, keep=0.5)

    assert len(chunks) == 6
    assert {0, 4, 7, 11} <= set(chunks)


@pytest.mark.parametrize("lookahead", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_choice_equals_the_published_steps(decoder, seed, lookahead):
    tokens = tokens_of(LENGTH, seed)
    draft = TinyDraft(decoder)
    written = draft.read(prompt_of(tokens), lambda view: None, lookahead=lookahead)

    kept = method(lookahead=lookahead).on_prompt(prompt_of(tokens), draft, 16)

    matrices = attention_matrices(decoder, [*tokens, *written[:-1]])
    scores = token_scores(matrices, range(LENGTH - 1, LENGTH + len(written) - 1), 5)
    assert list(kept.origins) == expected(scores, 8, 40)


def test_scores_are_of_attention_among_the_prompts_tokens_alone(decoder):
    tokens = tokens_of(LENGTH, 4)
    seen = []

    class Watched(TinyDraft):
        def carry(self, importance, prompt):
            seen.append(importance)
            return importance

    draft = Watched(decoder)
    method().on_prompt(prompt_of(tokens), draft, 16)

    written = draft.read(prompt_of(tokens), lambda view: None, lookahead=4)
    matrices = attention_matrices(decoder, [*tokens, *written[:-1]])
    expected = token_scores(matrices, range(LENGTH - 1, LENGTH + 3), 5)
    assert seen[0].tolist() == pytest.approx(expected, rel=1e-4)


def test_a_look_ahead_that_ends_early_counts_the_queries_there_are(decoder):
    tokens = tokens_of(LENGTH, 1)
    second = TinyDraft(decoder).read(prompt_of(tokens), lambda view: None, lookahead=2)[1]
    draft = TinyDraft(decoder, ends={second})

    kept = method(lookahead=6).on_prompt(prompt_of(tokens), draft, 16)

    assert kept == method(lookahead=2).on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)


def test_tokens_stay_at_their_positions_and_the_answer_starts_behind_the_whole_prompt(decoder):
    kept = method().on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)

    assert kept.positions == kept.origins
    assert list(kept.places(42))[-2:] == [LENGTH, LENGTH + 1]
    fresh = method(in_place=False).on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)
    assert fresh.tokens == kept.tokens
    assert list(fresh.places(42)) == list(range(42))


def test_chunks_stay_whole_where_the_budget_is_a_multiple_of_them(decoder):
    newest = LENGTH % 8

    kept = method(keep=24 + newest).on_prompt(
        prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16
    ).origins  # fmt: skip

    chunks = {place // 8 for place in kept}
    assert len(chunks) == 4
    assert LENGTH // 8 in chunks


@pytest.mark.parametrize("keep", [LENGTH, LENGTH + 1, 1.0])
def test_a_budget_of_the_whole_prompt_runs_no_draft_and_drops_nothing(decoder, keep):
    draft, prompt = TinyDraft(decoder), prompt_of(tokens_of(LENGTH))

    assert method(keep=keep).on_prompt(prompt, draft, 16) is prompt
    assert draft.runs == 0


@pytest.mark.parametrize("keep", [1, 3, 7, 33, 89])
def test_a_budget_is_filled_and_never_exceeded(decoder, keep):
    kept = method(keep=keep).on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)

    assert len(kept) == keep
    assert kept.origins[-1] == LENGTH - 1


def test_protected_tokens_stay_and_need_room(decoder):
    tokens = tokens_of(LENGTH)
    prompt = prompt_of(tokens, {0, 1, 50})

    kept = method().on_prompt(prompt, TinyDraft(decoder), 16)

    draft = TinyDraft(decoder)
    written = draft.read(prompt, lambda view: None, lookahead=4)
    matrices = attention_matrices(decoder, [*tokens, *written[:-1]])
    scores = token_scores(matrices, range(LENGTH - 1, LENGTH + 3), 5)
    assert list(kept.origins) == expected(scores, 8, 40, protected=(0, 1, 50))
    with pytest.raises(BudgetTooSmallError, match="but 3 must stay"):
        method(keep=2).on_prompt(prompt, TinyDraft(decoder), 16)
