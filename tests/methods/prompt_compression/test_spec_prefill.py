import pytest
import torch

from forethought.contracts.errors import BudgetTooSmallError
from forethought.methods.prompt_compression.spec_prefill import SpecPrefill
from tests.methods.reference import TinyDraft, attention_matrices, prompt_of
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
