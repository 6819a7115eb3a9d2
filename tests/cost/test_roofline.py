"""Times of the roofline: published figures, bounds and scaling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.contracts.errors import UnknownNameError
from forethought.cost.hardware import TABLE, Measured, hardware
from forethought.cost.precision import WEIGHTS, Precision, precision
from forethought.cost.roofline import Machine, decode_phase, prefill_phase
from forethought.cost.work import Pass, decode_step, operations, total
from tests.cost.fixtures import config, tiny

A6000 = Machine(TABLE["a6000"], Precision())


def test_the_query_projection_of_llama_2_reaches_the_published_rates() -> None:
    llama = config("llama-2-7b")
    rates = []
    for one in (Pass(2048), decode_step(2047)):
        product = next(each for each in operations(llama, Precision(), one) if each.name == "q")
        rates.append(
            (product.total.flops / A6000.seconds(product, one.phase), A6000.bound(product))
        )

    assert rates[0] == (pytest.approx(154.8e12), "compute")
    assert rates[1] == (pytest.approx(767.6e9, rel=1e-3), "memory")


@pytest.mark.parametrize(
    ("name", "prefill", "decode", "batch"),
    [("llama-2-7b", 0.190, 0.0186, 0.1088), ("llama-3-8b", 0.206, 0.0199, 0.0440)],
)
def test_whole_models_take_the_published_times(
    name: str, prefill: float, decode: float, batch: float
) -> None:
    sizes = config(name)

    assert prefill_phase(sizes, A6000, 2048).seconds == pytest.approx(prefill, rel=0.01)
    assert decode_phase(sizes, A6000, 2047, 1).seconds == pytest.approx(decode, rel=0.01)
    assert decode_phase(sizes, A6000, 2047, 1, 64).seconds == pytest.approx(batch, rel=0.03)


def test_an_operation_takes_at_least_its_flops_and_its_bytes() -> None:
    llama = config("llama-3-8b")
    for one in (Pass(2048), Pass(16, 500, 8), decode_step(4000, 64)):
        for each in operations(llama, Precision(), one):
            work = each.total
            least = max(work.flops / 154.8e12, work.bytes_moved / 768e9)
            assert A6000.seconds(each, one.phase) == pytest.approx(least)


def test_twice_the_rates_or_two_accelerators_halve_the_time() -> None:
    llama = config("llama-3-8b")
    slow = decode_phase(llama, A6000, 1000, 50)
    card = replace(A6000.hardware, bandwidth=2 * 768e9, peak=2 * 154.8e12)

    for fast in (replace(A6000, hardware=card), replace(A6000, accelerators=2)):
        assert decode_phase(llama, fast, 1000, 50).seconds == pytest.approx(slow.seconds / 2)


def test_decode_is_bound_by_memory_and_a_long_prefill_by_compute() -> None:
    llama = config("llama-3-8b")

    assert decode_phase(llama, A6000, 2047, 10).bound == "memory"
    assert prefill_phase(llama, A6000, 2048).bound == "compute"


def test_four_bits_speed_up_decode_and_not_prefill() -> None:
    llama, four = config("llama-2-7b"), Machine(TABLE["a6000"], WEIGHTS["int4"], "int4")

    assert (
        decode_phase(llama, four, 100, 1).seconds < 0.4 * decode_phase(llama, A6000, 100, 1).seconds
    )
    assert (
        prefill_phase(llama, four, 2048).seconds > 0.97 * prefill_phase(llama, A6000, 2048).seconds
    )


def test_eight_bits_on_both_sides_run_at_the_8_bit_peak() -> None:
    llama, eight = config("llama-2-7b"), Machine(TABLE["a6000"], WEIGHTS["w8a8"], "w8a8")

    ratio = (
        prefill_phase(llama, A6000, 2048).compute_seconds
        / prefill_phase(llama, eight, 2048).compute_seconds
    )

    assert ratio == pytest.approx(309.7 / 154.8, rel=1e-3)


@pytest.mark.parametrize("window", [None, 16, 40])
@pytest.mark.parametrize(("past", "steps"), [(5, 1), (5, 7), (27, 95), (200, 23)])
def test_work_of_decode_equals_the_sum_over_its_steps(
    window: int | None, past: int, steps: int
) -> None:
    sizes = tiny(model_type="mistral", sliding_window=window)
    slow = [total(operations(sizes, Precision(), decode_step(past + t, 3))) for t in range(steps)]

    fast = decode_phase(sizes, A6000, past, steps, 3)

    for kind in ("flops", "weight_bytes", "cache_bytes", "activation_bytes"):
        expected = sum(getattr(one, kind) for one in slow)
        assert getattr(fast.work, kind) == pytest.approx(expected, rel=1e-12)
    assert fast.passes == steps


def test_chunks_of_a_prefill_read_the_weights_again_and_compute_the_same() -> None:
    llama = config("llama-2-7b")

    whole, chunks = prefill_phase(llama, A6000, 5000), prefill_phase(llama, A6000, 5000, chunk=2048)

    assert chunks.work.flops == whole.work.flops
    assert chunks.work.weight_bytes > 2.9 * whole.work.weight_bytes


def test_no_decode_steps_take_no_time() -> None:
    phase = decode_phase(tiny(), A6000, 10, 0)

    assert (phase.seconds, phase.work.flops, phase.passes) == (0.0, 0.0, 0)


def test_a_measured_machine_adds_its_overhead_to_each_step() -> None:
    sizes = tiny()
    rates = Measured(1e9, 1e9, 5e8, {"bf16": 1e8, "int4": 5e7}, 2e8, 1e-3, 5e-3)
    here = Machine(replace(TABLE["a6000"], measured=rates), Precision())

    step = decode_phase(sizes, here, 99, 1).seconds

    # q, k, v, o, gate, up and down of three layers, and the head, in 16 bits; then 100 entries.
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48
    weights = 2 * (3 * layer + 32 * 97) / 1e8
    assert step == pytest.approx(weights + 3 * 2 * 16 * 2 * 100 / 2e8 + 3 * 1e-3 + 5e-3)


def test_unknown_hardware_and_formats_name_their_neighbours() -> None:
    with pytest.raises(UnknownNameError, match="'h101'") as error:
        hardware("h101")
    assert "h100" in error.value.hint
    with pytest.raises(UnknownNameError, match="weight format"):
        precision("int5")
    assert hardware("RTX 4090") is TABLE["rtx-4090"]
