"""Budgets in bytes: as many entries as fit, and not one more."""

import math

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.cost.flops import entry_bytes
from forethought.prefill.byte_budgets import with_entry_budgets
from forethought.recipes.recipe import Recipe
from tests.sessions.tiny_session import TARGET, run

EACH = entry_bytes(TARGET.shape, 8)
LAYERS = len(TARGET.shape.layers)


@pytest.mark.parametrize("size", [f"{120 * EACH}B", f"{120 * EACH / 1024}kiB", "50kB"])
@pytest.mark.parametrize("method", ["snapkv", "ada-snapkv", "pyramidkv", "streaming-llm", "h2o"])
def test_what_is_held_fits_in_the_bytes(method, size):
    found = run(approximate=(f"{method}(keep={size}, protect=false)",))

    allowed = {"50kB": 50_000}.get(size, 120 * EACH)
    held = found["kept"]["cache_bytes"]
    assert held <= allowed
    assert held > allowed - 2 * EACH
    assert size in found["recipe"]


def test_packed_entries_fit_more_into_the_same_bytes():
    plain = run(approximate=(f"snapkv(keep={80 * EACH}B, protect=false)",))
    packed = run(approximate=(f"snapkv(keep={80 * EACH}B, protect=false)", "quantised-kv(bits=4)"))

    assert sum(packed["kept"]["shares"]) > 3 * sum(plain["kept"]["shares"])


@pytest.mark.parametrize("size", ["0B", "8 apples", "8XB"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(BadParameterError, match="bytes such as 8MiB"):
        Recipe(approximate=(f"snapkv(keep='{size}')",))


@pytest.mark.parametrize(("method", "beyond"), [
    ("snapkv", 0), ("ada-snapkv", 1), ("chunkkv", 20), ("pyramidkv", (LAYERS - 1) / 2),
])  # fmt: skip
def test_bytes_leave_room_for_entries_beyond_the_budget(method, beyond):
    stated = catalogue.build(f"{method}(keep={100 * EACH}B)")

    ((_, counted),) = with_entry_budgets([(method, stated)], TARGET)

    assert counted.keep == 100 - math.ceil(beyond)


def test_bytes_cannot_bound_a_method_with_whole_layers():
    with pytest.raises(BadParameterError, match="cannot bound them"):
        run(approximate=("knorm(keep=50kB)",))
    assert run(approximate=("knorm(keep=50kB, whole_layers=0)",))["kept"]["cache_bytes"] <= 50_000


def test_bytes_for_less_than_an_entry_are_refused():
    with pytest.raises(BudgetTooSmallError, match="one entry of this model takes"):
        run(approximate=("snapkv(keep=10B)",))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("method", ["snapkv", "ada-snapkv", "truncate"])
def test_packed_caches_stay_within_their_bytes(method, bits):
    allowed = 100 * EACH

    found = run(
        approximate=(f"{method}(keep={allowed}B, protect=false)", f"quantised-kv(bits={bits})")
    )

    assert found["kept"]["cache_bytes"] <= allowed
