"""Numbers formatted with three digits and a unit."""

from __future__ import annotations

_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def flops(value: float) -> str:
    """Floating-point operations, such as `1.10 TFLOP`."""
    size, step = _scaled(value, 1000, len(_DECIMAL))
    return f"{_digits(size, step)} {_DECIMAL[step]}FLOP"


def count(value: float) -> str:
    """A count, such as `1,234`."""
    return f"{value:,.0f}"


def memory(value: float) -> str:
    """Bytes, such as `1.53 MiB`."""
    size, step = _scaled(value, 1024, len(_BINARY))
    return f"{_digits(size, step)} {_BINARY[step]}"


def dollars(value: float) -> str:
    """Money, such as `$1.20` or `$0.00034`."""
    if value >= 1:
        return f"${value:,.2f}"
    return f"${float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".")


def joules(value: float) -> str:
    """Energy, such as `1.20 kJ`."""
    if value < 99.95:
        return f"{value:.3g} J"
    size, step = _scaled(value, 1000, len(_DECIMAL))
    return f"{_digits(size, step)} {_DECIMAL[step]}J"


def seconds(value: float) -> str:
    """A duration, such as `4.2 s` or `85 ms`."""
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.3g} s" if value < 999.5 else f"{value:,.0f} s"


def ratio(value: float) -> str:
    """A factor, such as `0.13 ×`."""
    return f"{value:.2g} ×" if value < 10 else f"{value:,.0f} ×"


def _scaled(value: float, base: int, steps: int) -> tuple[float, int]:
    step = 0
    while value >= base - 0.5 and step < steps - 1:
        value, step = value / base, step + 1
    return value, step


def _digits(value: float, step: int) -> str:
    # A value without a prefix is a whole count.
    return f"{value:.0f}" if step == 0 or value >= 99.95 else f"{value:#.3g}"
