"""Expected Attention: the closed form against samples, slow sums and plain rotations."""

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from forethought.methods.kv_eviction._entries import entry_places
from forethought.methods.kv_eviction.expected_attention import ExpectedAttention
from forethought.methods.kv_eviction.importance.expected import ExpectedImportance, average_turn
from tests.methods.reference import evicted_row, layers_after, prompt_of, seen_layer
from tests.tiny import batch_of, tiny_decoder, tokens_of

LENGTH = 30


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def turn(vectors, positions):
    """Half-rotation over the full head, a plane at a time."""
    half = vectors.shape[-1] // 2
    turned = torch.empty_like(vectors)
    for i in range(half):
        angle = positions[:, None] * 100.0 ** (-i / half)
        a, b = vectors[..., i], vectors[..., i + half]
        turned[..., i] = a * angle.cos() - b * angle.sin()
        turned[..., i + half] = a * angle.sin() + b * angle.cos()
    return turned


def expected_of(future=6, sinks=0, covariance=True, value_norms=True, epsilon=0.0):
    return ExpectedImportance(future, sinks, covariance, value_norms, epsilon)


def test_one_future_position_turns_without_loss():
    view = seen_layer(0, 10, turn=turn)

    once, often = average_turn(view, range(10, 11)), average_turn(view, range(10, 150))

    torch.testing.assert_close(once @ once.T, torch.eye(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(once[3], turn(torch.eye(8)[None, 3:4], torch.tensor([10]))[0, 0])
    assert float(torch.linalg.matrix_norm(often)) < float(torch.linalg.matrix_norm(once)) - 0.1
    each = [turn(torch.eye(8)[None], torch.tensor([p]))[0] for p in range(10, 150)]
    torch.testing.assert_close(often, torch.stack(each).mean(0), atol=1e-5, rtol=1e-5)


def test_equal_queries_give_the_logits_of_the_query_at_average_positions():
    view = seen_layer(0, 12, turn=turn)
    plain = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(5))
    view.queries = turn(plain.expand(12, -1, -1).clone(), torch.arange(12))

    found = expected_of().logits(view)

    ahead = turn(plain.expand(6, -1, -1).clone(), torch.arange(12, 18)).mean(0)
    for head in range(4):
        slow = view.keys[head // 2] @ ahead[head] * view.shape.scale
        torch.testing.assert_close(found[head // 2, head % 2], slow, rtol=1e-4, atol=1e-5)


def test_the_closed_form_is_the_mean_over_samples_of_the_gaussian():
    view = seen_layer(3, 50, turn=turn)
    view.keys = view.keys[:, :8] / 2
    view.positions = torch.arange(50)
    view.queries = view.queries * torch.linspace(0.5, 1.5, 8)
    importance = expected_of(future=1)
    view.keys, keys = torch.zeros(2, 50, 8), view.keys
    view.keys[:, :8] = keys
    found = importance.logits(view)[:, :, :8]

    plain = turn(view.queries, -torch.arange(50))
    draw = torch.Generator().manual_seed(1)
    for head in range(4):
        own = plain[:, head]
        factor = torch.linalg.cholesky(torch.cov(own.T, correction=0) + 1e-6 * torch.eye(8))
        noise = torch.randn(200_000, 8, generator=draw)
        queries = turn((own.mean(0) + noise @ factor.T)[:, None], torch.tensor([50]))[:, 0]
        chance = (queries @ keys[head // 2].T * view.shape.scale).exp().mean(0)
        torch.testing.assert_close(found[head // 2, head % 2], chance.log(), atol=0.05, rtol=0)


def test_scores_follow_the_published_steps_on_a_real_decoder():
    decoder, tokens, found = tiny_decoder(seed=3), tokens_of(LENGTH), []
    importance = expected_of(future=5, sinks=2, epsilon=0.01)

    def look(view):
        found.append(importance.score_layer(view, entry_places(view)))

    batch_of(decoder).prefill_whole(SequenceCache(3), tokens, LayerHook(look, LENGTH))

    _, layers = layers_after(decoder, tokens)
    for layer, (queries, keys, values) in enumerate(layers):
        places = torch.arange(2, LENGTH, device=decoder.device)
        plain = decoder.rotate(layer, queries[2:], -places)
        scores = keys.new_zeros(2, LENGTH, dtype=torch.float32)
        axes = torch.eye(8, dtype=torch.float64, device=decoder.device)[None]
        ahead = [decoder.rotate(layer, axes, places.new_tensor([p]))[0] for p in range(30, 35)]
        rotation = torch.stack(ahead).mean(0).T
        for head in range(4):
            mean = rotation @ plain[:, head].mean(0)
            spread = rotation @ torch.cov(plain[:, head].T, correction=0) @ rotation.T
            own = keys[2:, head // 2] * decoder.shape.layers[layer].scale
            logits = [own[j] @ mean + own[j] @ spread @ own[j] / 2 for j in range(len(own))]
            scores[head // 2, 2:] += torch.softmax(torch.stack(logits), 0).float() / 2
        scores = (scores + 0.01) * values.transpose(0, 1).norm(dim=-1).float()
        torch.testing.assert_close(found[layer], scores, rtol=1e-3, atol=1e-5)


def test_values_scale_the_scores_and_their_sign_does_not_count():
    view = seen_layer(4, 20, turn=turn)
    scores = expected_of().score_layer(view, entry_places(view))

    view.values = view.values * -3

    torch.testing.assert_close(expected_of().score_layer(view, entry_places(view)), 3 * scores)
    plain = expected_of(value_norms=False).score_layer(view, entry_places(view))
    torch.testing.assert_close(plain.sum(1), torch.ones(2))


def test_queries_stand_where_they_did_though_entries_were_dropped():
    view = seen_layer(4, 20, turn=turn)
    whole = expected_of().logits(view)
    view.keys, view.positions = view.keys[:, ::3], torch.arange(20)[::3]
    view.keys, view.positions = view.keys[:, 1:], view.positions[1:]
    view.positions[-1] = 19  # the newest entry is always there

    torch.testing.assert_close(expected_of().logits(view), whole[:, :, 3::3])


def test_the_order_of_the_queries_does_not_count():
    view = seen_layer(4, 20, turn=turn)
    scores = expected_of().score_layer(view, entry_places(view))
    plain = turn(view.queries, -torch.arange(20))

    view.queries = turn(plain[torch.randperm(20)], torch.arange(20))

    torch.testing.assert_close(
        expected_of().score_layer(view, entry_places(view)), scores, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_sinks_always_stay_within_the_budget(alpha):
    method = ExpectedAttention(keep=10, sinks=3, future=8, alpha=alpha)
    assert method.needs_all_queries()

    _, row = evicted_row(tiny_decoder(seed=3), method, prompt_of(tokens_of(LENGTH)))

    for entries in row.tail.layers:
        assert all(head[:3].tolist() == [0, 1, 2] for head in entries.kept)
        assert sum(map(len, entries.kept)) == 20
