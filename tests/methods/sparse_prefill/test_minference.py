"""MInference's vertical-slash pattern, estimated from the last queries."""

import pytest
import torch

from forethought.methods.sparse_prefill.minference import MInference, slash_sums
from tests.engine.written_out import inputs, shape_of, view_over
from tests.methods.sparse_prefill.thinned import slow_logits, thinned_logits, weights_of
from tests.tiny import fresh_logits, tiny_decoder, tokens_of

LENGTH = 230


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def lines_of(attention, method):
    """Columns and slashes of every head, one attention weight at a time."""
    columns, slashes = [], []
    for head in attention.tolist():
        length = len(head)
        vertical, slash = [0.0] * length, [0.0] * length
        for row in range(length - method.queries, length):
            for key in range(row + 1):
                vertical[key] += head[row][key]
                slash[row - key] += head[row][key]
        for scores, forced, count, found in (
            (vertical, method.sinks, method.columns, columns),
            (slash, method.nearest, method.slashes, slashes),
        ):
            scores[:forced] = [float("inf")] * forced
            ranked = sorted(range(length), key=lambda n, s=scores: (-s[n], n))
            found.append(sorted(ranked[:count]))
    return columns, [own[::-1] for own in slashes]


@pytest.mark.parametrize("chunk", [1 << 20, 5])
@pytest.mark.parametrize("forced", [(0, 1), (7, 12)])
def test_lines_are_the_best_sums_of_the_last_queries(chunk, forced, monkeypatch):
    monkeypatch.setattr("forethought.cost.flops._SCORE_BYTES", 4 * 6 * LENGTH * chunk)
    queries, keys, values = inputs(LENGTH, LENGTH)
    method = MInference(columns=20, slashes=30, sinks=forced[0], nearest=forced[1], queries=64)

    lines = method.lines(view_over(queries, keys, values, shape_of()))

    columns, slashes = lines_of(weights_of(queries, keys, shape_of()), method)
    assert lines.columns.tolist() == columns
    assert lines.slashes.tolist() == slashes


def test_slash_sums_add_weights_of_one_distance():
    rows = torch.tensor([[[1.0, 2.0, 3.0, 0.0], [4.0, 5.0, 6.0, 7.0]]])

    assert slash_sums(rows, 2).tolist() == [[10.0, 8.0, 6.0, 4.0]]


def test_slash_sums_keep_every_weight():
    rows = torch.rand(3, 6, 40).tril(20)  # queries 20 to 25, before the end

    torch.testing.assert_close(slash_sums(rows, 20).sum(1), rows.sum((1, 2)))


def test_a_prompt_is_read_as_by_loops(decoder):
    tokens, method = tokens_of(LENGTH), MInference(columns=9, slashes=3, sinks=2, nearest=2)

    logits = thinned_logits(decoder, method, tokens, LENGTH)

    expected = slow_logits(decoder, tokens, lambda attention: lines_of(attention, method))
    torch.testing.assert_close(logits, expected)
    assert not torch.allclose(logits, fresh_logits(decoder, tokens))


def test_fewer_lines_than_are_forced_keep_the_nearest():
    queries, keys, values = inputs(LENGTH, LENGTH)
    method = MInference(columns=3, slashes=5)

    lines = method.lines(view_over(queries, keys, values, shape_of()))

    assert lines.columns.tolist() == [[0, 1, 2]] * 6
    assert lines.slashes.tolist() == [[4, 3, 2, 1, 0]] * 6


@pytest.mark.parametrize("settings", [{"columns": 230, "slashes": 5}, {"columns": 5}])
def test_at_its_off_value_nothing_is_thinned(decoder, settings):
    tokens, method = tokens_of(LENGTH), MInference(**settings)

    logits = thinned_logits(decoder, method, tokens, LENGTH)

    assert not method.pays(LENGTH)
    assert not method.uses_draft()
    assert torch.equal(logits, fresh_logits(decoder, tokens))


def test_layers_with_a_sliding_window_are_left_alone():
    queries, keys, values = inputs(LENGTH, LENGTH)
    view = view_over(queries, keys, values, shape_of(window=100))

    assert MInference(columns=5, slashes=5).on_attention(view) is None
