"""A cache in fewer bits: what it holds, how far off it is, and what it goes with."""

import pytest

from forethought.contracts.errors import BadParameterError, UsageError
from forethought.cost.flops import entry_bytes
from tests.sessions.tiny_session import TARGET, run


@pytest.mark.parametrize(("bits", "most"), [(8, 0.6), (4, 0.45)])
def test_fewer_bits_are_fewer_bytes(bits, most):
    exact = run()

    packed = run(approximate=(f"quantised-kv(bits={bits})",))

    # Of float64 numbers: levels take an eighth or less, scales and zeros the rest.
    assert packed["kept"]["cache_bytes"] < most * exact["kept"]["cache_bytes"]
    assert packed["kept"]["positions"] == exact["kept"]["positions"]


def test_eight_bits_begin_as_the_exact_run_does():
    # Random weights leave no room for error later on: near-ties come every few tokens.
    packed, exact = (run(approximate=m, max_tokens=5) for m in (("quantised-kv",), ()))

    assert packed["answer"] == exact["answer"]


@pytest.mark.parametrize(
    "order", [("snapkv(keep=120)", "quantised-kv"), ("quantised-kv", "snapkv(keep=120)")]
)
def test_it_goes_with_an_eviction_in_either_order(order):
    evicted = run(approximate=("snapkv(keep=120)",))

    both = run(approximate=order)

    assert both["kept"]["positions"] == evicted["kept"]["positions"]
    assert both["kept"]["cache_bytes"] < 0.6 * 120 * entry_bytes(TARGET.shape, 8)


def test_samples_share_the_packed_prompt():
    found = run(approximate=("quantised-kv(bits=4)",), samples=3, temperature=1.0)

    assert len({one["text"] for one in found["candidates"]}) > 1
    assert found["candidates"][0]["text"]


def test_what_is_packed_cannot_be_dropped_later():
    with pytest.raises(UsageError, match="quantises the entries"):
        run(approximate=("h2o(keep=120, every=4)", "quantised-kv"))


def test_other_bits_are_refused():
    with pytest.raises(BadParameterError, match="must be one of 8, 4, 16"):
        run(approximate=("quantised-kv(bits=5)",))
