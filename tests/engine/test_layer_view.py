"""The attention rows that methods see, against attention as its definition says."""

import pytest
import torch

from tests.engine.written_out import future, inputs, plain, shape_of, view_over

LENGTH, ENTRIES = 12, 30


@pytest.mark.parametrize("count", [1, 5, LENGTH, LENGTH + 3])
@pytest.mark.parametrize("changes", [{}, {"window": 7}, {"softcap": 2.0}])
def test_window_rows_are_those_of_the_attention(count, changes):
    shape = shape_of(**changes)
    queries, keys, values = inputs(LENGTH, ENTRIES)
    where = torch.arange(ENTRIES)
    hidden = future(LENGTH, ENTRIES)
    if shape.window:
        hidden = hidden | (where[-LENGTH:, None] - where >= shape.window)

    view = view_over(queries, keys, values, shape)
    rows = torch.cat(list(view.window_rows(count)), 2)

    assert rows.shape == (2, 3, min(count, LENGTH), ENTRIES)
    mixed = torch.einsum("kgre,kev->rkgv", rows.double(), values).flatten(1)
    expected = plain(queries, keys, values, shape, hidden)[-count:]
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=1e-5)
