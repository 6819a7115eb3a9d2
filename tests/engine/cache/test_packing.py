"""Numbers in few bits: how far off, how many bytes, and nothing shared between groups."""

import pytest
import torch

from forethought.engine.cache.packing import pack


def values(entries=70, heads=2, width=64, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(heads, entries, width, generator=generator).to(dtype)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("bits", [8, 4])
def test_every_number_is_within_half_a_step_of_its_group(bits, axis):
    given, group = values(), {8: 64, 4: 32}[bits]

    found = pack(given, bits, axis).unpack()

    for theirs, ours in zip(given.split(group, axis), found.split(group, axis), strict=True):
        low, high = theirs.amin(axis, keepdim=True), theirs.amax(axis, keepdim=True)
        step = (high - low) / (2**bits - 1)
        assert ((theirs - ours).abs() <= step / 2 + 1e-5).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_numbers_on_the_grid_are_exact_and_constants_too(bits):
    top = 2**bits - 1
    grid = torch.randint(0, top + 1, (2, 64, 64)).float()
    grid[:, 0], grid[:, 32], grid[:, 1], grid[:, 33] = 0, 0, top, top

    assert torch.equal(pack(grid, bits, 1).unpack(), grid)
    assert torch.equal(
        pack(torch.full((1, 9, 8), 3.5), bits, 1).unpack(), torch.full((1, 9, 8), 3.5)
    )


@pytest.mark.parametrize(("bits", "axis", "each"), [(8, 1, 8.5), (8, 2, 8.5), (4, 1, 5), (4, 2, 5)])
def test_the_bits_held_are_the_bits_stated(bits, axis, each):
    given = values(entries=128, dtype=torch.bfloat16)

    held = sum(part.untyped_storage().nbytes() for part in pack(given, bits, axis).tensors())

    assert held * 8 == each * given.numel()


def test_an_outlier_spoils_its_own_channel_alone():
    given = values(entries=64)
    spoilt = given.clone()
    spoilt[0, 5, 7] = 1000

    found, expected = pack(spoilt, 4, 1).unpack(), pack(given, 4, 1).unpack()

    others = torch.ones_like(given, dtype=torch.bool)
    others[0, 32 * 0 : 32, 7] = False
    assert torch.equal(found[others], expected[others])
