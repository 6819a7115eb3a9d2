from __future__ import annotations

import math

import pytest
import torch

from forethought.models.decoder.rope import Rope, frequencies, rotate_
from forethought.models.decoder.rope_settings import RopeSettings

PLAIN = RopeSettings(theta=100.0, dimensions=4)


def test_a_pair_of_dimensions_turns_by_position_times_its_frequency() -> None:
    heads = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])

    turned = rotate_(heads, Rope(PLAIN).at(torch.tensor([3]), torch.float32))

    expected = [math.cos(3), math.cos(0.3), math.sin(3), math.sin(0.3)]
    torch.testing.assert_close(turned[0, 0], torch.tensor(expected))


def test_scores_depend_on_the_distance_alone() -> None:
    rope, generator = Rope(PLAIN), torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 1, 4, generator=generator, dtype=torch.float64)

    def score(at: int, by: int) -> float:
        q = rotate_(query.clone(), rope.at(torch.tensor([at]), torch.float64))
        k = rotate_(key.clone(), rope.at(torch.tensor([by]), torch.float64))
        return float((q * k).sum())

    assert score(9, 4) == pytest.approx(score(105, 100), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-2)


def test_dimensions_beyond_the_rotated_ones_pass_unchanged() -> None:
    heads = torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(0))
    before = heads.clone()

    rotate_(heads, Rope(PLAIN).at(torch.arange(5), torch.float32))

    assert torch.equal(heads[..., 4:], before[..., 4:])
    assert not torch.equal(heads[1:, :, :4], before[1:, :, :4])


def test_a_magnitude_scales_what_is_rotated() -> None:
    settings = RopeSettings(theta=100.0, dimensions=4, magnitude=1.5)
    heads = torch.tensor([[[3.0, 0.0, 4.0, 0.0]]])

    turned = rotate_(heads, Rope(settings).at(torch.tensor([7]), torch.float32))

    assert float(turned.norm()) == pytest.approx(7.5)


def test_linear_stretching_divides_every_frequency() -> None:
    stretched = RopeSettings(theta=100.0, dimensions=8, kind="linear", factor=4.0)

    expected = [100 ** (-i / 4) / 4 for i in range(4)]
    torch.testing.assert_close(frequencies(stretched), torch.tensor(expected))


def test_llama3_stretching_keeps_fast_dimensions_and_slows_the_others() -> None:
    settings = RopeSettings(
        theta=10_000.0, dimensions=16, kind="llama3", factor=8.0, original_context=64
    )

    ratio = frequencies(settings) / frequencies(RopeSettings(theta=10_000.0, dimensions=16))

    turns = [64 * 10_000 ** (-i / 8) / (2 * math.pi) for i in range(8)]
    keep = [min(max((turn - 1) / 3, 0), 1) for turn in turns]
    expected = [k + (1 - k) / 8 for k in keep]
    torch.testing.assert_close(ratio, torch.tensor(expected))
    assert 0 < keep[1] < 1


def test_longrope_divides_each_frequency_by_its_own_factor() -> None:
    settings = RopeSettings(theta=100.0, dimensions=4, kind="longrope", divisors=(2.0, 5.0))

    torch.testing.assert_close(frequencies(settings), torch.tensor([0.5, 0.02]))


def test_yarn_with_equal_borders_still_gives_finite_frequencies() -> None:
    settings = RopeSettings(
        theta=10_000.0,
        dimensions=8,
        kind="yarn",
        factor=4.0,
        original_context=8,
        fast_turns=2.0,
        slow_turns=2.0,
    )

    assert frequencies(settings).isfinite().all()
