"""Attention along lines equals attention under the mask of the kernel's sweep."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.contracts.errors import BadParameterError
from forethought.engine.attention.prefill import Visibility, attend_causal
from forethought.methods.sparse_prefill._lines import Lines, attend_lines, line_pairs
from tests.engine.written_out import inputs, plain, shape_of, view_over

WINDOW = range(128, -1, -64)


def shown(columns, slashes, length):
    """[length][...] the keys each query sees: the kernel's sweep, one step at a time."""
    rows = []
    for first in range(0, length, 64):
        end = first + 64
        ranges = []
        for slash in sorted(slashes, reverse=True):
            if slash >= end:
                continue
            reach = max(end - slash, 64)
            if not ranges or reach > ranges[-1][1] + 64:
                ranges.append([reach - 64, reach])
            elif reach > ranges[-1][1]:
                ranges[-1][1] += 64
        keys = {key for start, stop in ranges for key in range(start, stop)} | set(columns)
        rows += [{k for k in keys if k <= row} for row in range(first, min(end, length))]
    return rows


def hidden_by(columns, slashes, length):
    """[heads, T, T] for patterns of every query head."""
    hidden = torch.ones(len(columns), length, length, dtype=torch.bool)
    for head, (own, back) in enumerate(zip(columns, slashes, strict=True)):
        for row, keys in enumerate(shown(own, back, length)):
            hidden[head, row, sorted(keys)] = False
    return hidden


def written_out(queries, keys, values, shape, columns, slashes):
    """Attention of every query head under the mask; a pattern for each key or query head."""
    heads, kv_heads = queries.shape[1], len(keys)
    hidden = hidden_by(columns, slashes, len(queries))
    hidden = hidden.repeat_interleave(heads // len(columns), 0)
    own = [each.repeat_interleave(heads // kv_heads, 0) for each in (keys, values)]
    return plain(queries, *own, shape, hidden)


def attended(queries, keys, values, lines, **changes):
    """Attention along the lines, of a whole prompt."""
    return attend_lines(view_over(queries, keys, values, shape_of(**changes)), lines).out


def lines_of(columns, slashes):
    return Lines(
        torch.tensor([sorted(own) for own in columns], dtype=torch.long),
        torch.tensor([sorted(own, reverse=True) for own in slashes]),
    )


def same(count, length, slashes=WINDOW, columns=()):
    """One choice for every head."""
    return lines_of([list(columns)] * count, [list(slashes)] * count)


@st.composite
def choices(draw):
    length = draw(st.integers(1, 420))
    heads = draw(st.sampled_from([2, 6]))
    place = st.integers(0, length - 1)
    columns, slashes = draw(st.integers(0, 12)), draw(st.integers(0, 6))
    lists = lambda size: draw(  # noqa: E731
        st.lists(st.lists(place, min_size=size, max_size=size), min_size=heads, max_size=heads)
    )
    return length, lists(columns), [[*own, 0] for own in lists(slashes)]


@settings(deadline=None, max_examples=25)
@given(choices())
def test_any_pattern_equals_attention_under_its_written_out_mask(choice):
    length, columns, slashes = choice
    queries, keys, values = inputs(length, length)

    out = attended(queries, keys, values, lines_of(columns, slashes))

    expected = written_out(queries, keys, values, shape_of(), columns, slashes)
    torch.testing.assert_close(out, expected)


@settings(deadline=None, max_examples=40)
@given(choices())
def test_the_pairs_counted_are_those_of_the_written_out_mask(choice):
    length, columns, slashes = choice

    pairs = line_pairs(lines_of(columns, slashes), length, length, 2)

    own = zip(columns, slashes, strict=True)
    seen = sum(len(keys) for c, s in own for keys in shown(c, s, length))
    assert pairs == pytest.approx(seen / len(columns), rel=1e-12)


@pytest.mark.parametrize("length", [64, 129, 640, 701])
def test_a_window_with_columns_equals_its_mask_over_many_blocks(length):
    queries, keys, values = inputs(length, length)
    columns = [list(range(head, length, 23)) for head in range(2)]

    out = attended(queries, keys, values, lines_of(columns, [WINDOW] * 2))

    expected = written_out(queries, keys, values, shape_of(), columns, [WINDOW] * 2)
    torch.testing.assert_close(out, expected)


def test_softcap_squashes_scores():
    queries, keys, values = inputs(300, 300)
    shape = shape_of(softcap=1.5)

    out = attended(queries, keys, values, same(2, 300, columns=[5]), softcap=1.5)

    expected = written_out(queries, keys, values, shape, [[5]] * 2, [WINDOW] * 2)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    "pattern", [same(2, 333, columns=range(333)), same(6, 333, slashes=range(320, -1, -64))]
)
def test_all_columns_or_a_window_over_everything_is_dense(pattern):
    queries, keys, values = inputs(333, 333)

    out = attended(queries, keys, values, pattern)

    dense = attend_causal(queries, keys, values, shape_of(), Visibility())
    torch.testing.assert_close(out, dense)
    assert line_pairs(pattern, 333, 333, 2) == 333 * 334 / 2


def test_bfloat16_stays_as_close_to_exact_as_dense_attention_does():
    queries, keys, values = inputs(400, 400, dtype=torch.bfloat16)

    out = attended(queries, keys, values, same(2, 400, columns=[3, 90]))

    expected = written_out(queries, keys, values, shape_of(), [[3, 90]] * 2, [WINDOW] * 2)
    assert out.dtype == torch.bfloat16
    assert (out.double() - expected).abs().max() < 0.03


def test_every_token_sees_itself_and_none_sees_a_later_one():
    queries, keys, _ = inputs(200, 200)
    values = torch.eye(200, dtype=torch.float64).expand(2, -1, -1)  # the output is the weights

    out = attended(queries, keys, values, same(2, 200, [150, 0], [7, 199]))

    weights = out.view(200, 6, 200).transpose(0, 1)
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, 200, dtype=torch.float64))
    assert (weights.diagonal(dim1=1, dim2=2) > 0).all()
    assert (weights.triu(1) == 0).all()


def test_a_column_given_twice_or_inside_a_band_counts_once():
    queries, keys, values = inputs(250, 250)
    once, twice = same(2, 250, columns=[9]), same(2, 250, columns=[9, 9, 240])

    outs = [attended(queries, keys, values, pattern) for pattern in (once, twice)]

    torch.testing.assert_close(*outs)
    assert line_pairs(once, 250, 250, 2) == line_pairs(twice, 250, 250, 2)


def test_another_column_changes_no_earlier_token():
    queries, keys, values = inputs(500, 500)

    before, after = (
        attended(queries, keys, values, same(2, 500, columns=columns))
        for columns in ([4, 50], [4, 50, 201])
    )

    torch.testing.assert_close(before[:384], after[:384])  # 201 lies in the window until there
    assert ((before[384:] - after[384:]).abs().amax(1) > 0).all()


def test_a_pattern_that_hides_tokens_from_themselves_is_refused():
    queries, keys, values = inputs(70, 70)

    with pytest.raises(BadParameterError, match="slash 0"):
        attended(queries, keys, values, same(2, 70, [64, 30]))


def test_a_pattern_for_another_number_of_heads_is_refused():
    with pytest.raises(BadParameterError, match="3 heads"):
        line_pairs(same(3, 70), 70, 70, 2)


@pytest.mark.parametrize("first", [1, 64, 100, 299])
def test_tokens_after_cached_entries_attend_as_in_one_pass(first):
    queries, keys, values = inputs(300, 300)
    lines = same(2, 300, slashes=[130, 64, 0], columns=[5, 80])

    rest = attend_lines(view_over(queries[first:], keys, values, shape_of()), lines)

    torch.testing.assert_close(rest.out, attended(queries, keys, values, lines)[first:])
    seen = shown([5, 80], [130, 64, 0], 300)
    assert rest.pairs == sum(map(len, seen[first:]))
