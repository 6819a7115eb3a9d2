"""SnapKV's invariants on single layers: query groups, planted keys, pooling."""

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.methods.kv_eviction.snapkv import SnapKV
from tests.methods.reference import seen_layer

LENGTH = 40


def kept_of(view, **changes):
    method = SnapKV(**{"keep": 12, "window": 4, "kernel": 5, **changes})
    return [head.tolist() for head in method.on_layer(view)]


def test_the_order_of_query_heads_within_a_group_does_not_count():
    view, swapped = seen_layer(2, LENGTH), seen_layer(2, LENGTH)
    swapped.queries = swapped.queries[:, [1, 0, 3, 2]]

    assert kept_of(view) == kept_of(swapped)
    assert kept_of(view, pool="max") == kept_of(swapped, pool="max")


def test_a_key_that_draws_attention_survives_with_its_neighbours():
    view = seen_layer(2, LENGTH)
    view.queries[-4:], view.keys[:, 20] = 1.0, 10.0

    for head in kept_of(view, keep=9, pool="max"):
        assert head == [18, 19, 20, 21, 22, 36, 37, 38, 39]


def test_a_kernel_of_one_does_not_pool():
    view = seen_layer(2, LENGTH)
    scores = next(view.window_rows(4))[..., :36].mean((1, 2))

    best = scores.sort(descending=True, stable=True).indices[:, :8].sort().values
    assert kept_of(view, kernel=1) == [[*head, 36, 37, 38, 39] for head in best.tolist()]


def test_the_defaults_are_those_of_the_authors_code():
    assert (SnapKV().window, SnapKV().kernel, SnapKV().pool) == (32, 5, "mean")


@pytest.mark.parametrize("method", ["snapkv", "speckv", "pyramidkv", "ada-snapkv", "laq"])
def test_an_even_kernel_is_refused_where_it_is_stated(method):
    with pytest.raises(BadParameterError, match="kernel=64 must be odd"):
        catalogue.build(f"{method}(kernel=64)")


@pytest.mark.parametrize("spelled", ["snapkv(pool=avg)", "speckv(reduction=mode)"])
def test_a_way_of_another_name_is_refused_where_it_is_stated(spelled):
    with pytest.raises(BadParameterError, match="must be one of"):
        catalogue.build(spelled)
