"""Norms: both forms round as the models' training code does."""

import pytest
import torch

from forethought.models.decoder.norm import FusedNorm, Norm

DTYPES = [torch.float64, torch.float32, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_the_form_for_gpus_rounds_as_that_for_cpus(
    dtype: torch.dtype, late: bool, offset: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, 96, generator=generator).to(dtype)
    weight = torch.randn(3, 96, generator=generator).to(dtype)
    before = x.clone()

    plain = Norm(weight, 1e-5, offset=offset, late_rounding=late)(x)
    fused = FusedNorm(weight, 1e-5, offset=offset, late_rounding=late)(x)

    assert plain.dtype == fused.dtype == dtype
    assert torch.equal(x, before)
    # In bf16 both round the same float32 value: other sums may cross a border now and then.
    assert (plain == fused).float().mean() > (0.99 if dtype == torch.bfloat16 else 0)
    torch.testing.assert_close(plain, fused)


@pytest.mark.parametrize("form", [Norm, FusedNorm])
def test_a_norm_divides_by_the_root_of_the_mean_square(form: type[Norm]) -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0], dtype=torch.float64)

    found = form(weight, 0.5)(x)

    root = (12.5 + 0.5) ** 0.5
    expected = torch.tensor([[3 / root, 8 / root], [0, 0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
