import pytest

from forethought.reports import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 FLOP"), (950, "950 FLOP"), (1.1e12, "1.10 TFLOP"), (9.996e11, "1.00 TFLOP")],
)
def test_operations_have_three_digits_and_a_prefix(value: float, text: str) -> None:
    assert units.flops(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.50 KiB"),
        (12_582_912, "12.0 MiB"),
        (3 << 40, "3.00 TiB"),
    ],
)
def test_memory_counts_in_powers_of_two(value: float, text: str) -> None:
    assert units.memory(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0851, "85 ms"), (0.12, "0.12 s"), (4.24, "4.24 s"), (1234.5, "1,234 s")]
)
def test_durations_are_milliseconds_or_seconds(value: float, text: str) -> None:
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.125, "0.12 ×"), (1, "1 ×"), (3.94, "3.9 ×"), (1200, "1,200 ×")]
)
def test_factors_have_two_digits(value: float, text: str) -> None:
    assert units.ratio(value) == text
