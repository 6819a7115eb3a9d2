"""Ada-SnapKV and Ada-SpecKV: heads of a layer share one budget by how much they attend."""

import pytest
import torch

from forethought.methods.kv_eviction.ada_snapkv import AdaSnapKV
from forethought.methods.kv_eviction.ada_speckv import AdaSpecKV
from forethought.methods.kv_eviction.snapkv import SnapKV
from forethought.methods.kv_eviction.speckv import SpecKV
from forethought.numerics.importance import pooled
from tests.methods.reference import TinyDraft, attention_matrices, evicted_row, prompt_of
from tests.tiny import tiny_decoder, tokens_of

LENGTH, KEEP, WINDOW = 60, 20, 6


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def kept_by(decoder, method, prompt):
    prompt = method.on_prompt(prompt, TinyDraft(decoder), 5)
    _, row = evicted_row(decoder, method, prompt)
    return [[head.tolist() for head in layer.kept] for layer in row.tail.layers]


def window_means(attention):
    """SnapKV's scores before the window, pooled: [2, n]."""
    until = LENGTH - WINDOW
    scores = attention.view(2, 2, LENGTH, LENGTH)[:, :, until:, :until].mean((1, 2))
    return pooled(scores.float(), 7, "max")


@pytest.mark.parametrize(("adaptive", "plain"), [
    (AdaSnapKV(keep=KEEP, window=WINDOW, alpha=1.0),
     SnapKV(keep=KEEP, window=WINDOW, kernel=7, pool="max")),
    (AdaSpecKV(keep=KEEP, window=WINDOW, alpha=1.0), SpecKV(keep=KEEP, window=WINDOW)),
], ids=["snapkv", "speckv"])  # fmt: skip
def test_a_floor_of_everything_is_the_plain_method(decoder, adaptive, plain):
    prompt = prompt_of(tokens_of(LENGTH), protected={2, 9})

    assert kept_by(decoder, adaptive, prompt) == kept_by(decoder, plain, prompt)


def test_without_a_floor_the_best_of_the_layer_are_kept(decoder):
    tokens, each = tokens_of(LENGTH), KEEP - WINDOW

    kept = kept_by(decoder, AdaSnapKV(keep=KEEP, window=WINDOW, alpha=0.0), prompt_of(tokens))

    for own, (attention, _, _) in zip(kept, attention_matrices(decoder, tokens), strict=True):
        scores = window_means(attention)
        order = sorted((-float(scores[h, e]), e, h) for h in range(2) for e in range(54))
        best = [sorted(e for _, e, h in order[: 2 * each] if h == head) for head in range(2)]
        assert own == [[*head, *range(54, LENGTH)] for head in best]
        mass = sum(float(scores[h, e]) for h in range(2) for e in best[h])
        assert mass >= float(scores.sort(descending=True).values[:, :each].sum()) - 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("method", [AdaSnapKV, AdaSpecKV])
def test_a_layer_holds_its_budget_and_each_head_its_floor(decoder, method, alpha):
    made = method(keep=KEEP, window=WINDOW, alpha=alpha)

    kept = kept_by(decoder, made, prompt_of(tokens_of(LENGTH), protected={2, 9}))

    assert any(len(a) != len(b) for a, b in kept)
    each = KEEP - (method is AdaSpecKV)  # whose last token is read again
    missed = 0 if method is AdaSpecKV else 2  # the code rounds each head's budget alone
    for layer in kept:
        assert 2 * each - missed <= sum(map(len, layer)) <= 2 * each + missed / 2
        assert min(map(len, layer)) >= WINDOW + 2 + int(alpha * (each - WINDOW - 2))
        assert all({2, 9} <= set(head) for head in layer)


def test_a_ragged_cache_answers_as_one_with_the_dropped_entries_hidden(decoder):
    prompt = prompt_of(tokens_of(LENGTH))
    method = AdaSnapKV(keep=KEEP, window=WINDOW, alpha=0.0)
    batch, row = evicted_row(decoder, method, prompt)
    kept = [[head.tolist() for head in layer.kept] for layer in row.tail.layers]

    found = batch.step([row], [7])[0]

    whole = attention_matrices(decoder, prompt.tokens)

    def attend(layer, queries, keys, values):
        mixed = []
        for head in range(4):
            own = kept[layer][head // 2]
            past_keys, past_values = (part[head // 2][own] for part in whole[layer][1:])
            seen = torch.cat([past_keys, keys[:, head // 2]])
            weights = torch.softmax(seen @ queries[0, head] * 8**-0.5, -1)
            mixed.append(weights @ torch.cat([past_values, values[:, head // 2]]))
        return torch.stack(mixed).flatten()[None]

    expected = decoder.forward(
        torch.tensor([7], device=decoder.device),
        torch.tensor([LENGTH], device=decoder.device),
        attend,
        phase="decode",
        logits_at=torch.tensor([0]),
    )
    torch.testing.assert_close(found, expected[0])
    assert row.next == LENGTH + 1
    assert [len(h) for h in row.head_positions(0, 2)] == [len(h) + 1 for h in kept[0]]
