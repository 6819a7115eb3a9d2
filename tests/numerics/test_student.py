import math

import numpy as np
import pytest

from forethought.numerics.student import normal_quantile, normal_share, student_quantile

# Published tables of the two-sided 5 % point.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 30: 2.042}


@pytest.mark.parametrize(("freedom", "point"), TABLE.items())
def test_quantiles_of_student_are_those_of_the_tables(freedom: int, point: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(point, abs=6e-4)


def test_one_and_two_degrees_of_freedom_have_closed_forms() -> None:
    assert student_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.4), rel=1e-9)
    assert student_quantile(0.9, 2) == pytest.approx(0.8 * math.sqrt(2 / (1 - 0.64)), rel=1e-9)


@pytest.mark.parametrize("freedom", [3, 6, 25])
def test_quantiles_of_student_leave_out_the_density_beyond(freedom: int) -> None:
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
    x = np.linspace(0, student_quantile(0.975, freedom), 100_001)
    density = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)

    assert np.trapezoid(density, x) == pytest.approx(0.475, abs=1e-8)


def test_many_degrees_of_freedom_come_near_the_normal() -> None:
    assert student_quantile(0.975, 100_000) == pytest.approx(normal_quantile(0.975), rel=0.002)
    assert student_quantile(0.975, 100_000) > normal_quantile(0.975)


def test_the_normal_share_undoes_its_quantile() -> None:
    assert normal_share(normal_quantile(0.975)) == pytest.approx(0.975, abs=1e-12)
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)
