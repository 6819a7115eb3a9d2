"""Every sparse attention beside dense attention: what it misses bounds its error."""

import pytest
import torch

from forethought import catalogue
from tests.engine.written_out import inputs, shape_of, view_over
from tests.fast_cases import fast_each

LENGTH = 320
FLASH = "flash-prefill(alpha={},block=16,tile=16,sinks=1,window=1,last_rows=0,dense_layers=0,{})"
CASES = {
    "flash-prefill": [FLASH.format(alpha, "means=False") for alpha in (1.0, 0.7, 0.4, 0.1)],
    "vertical-slash": [
        f"vertical-slash(columns={count},window={window},queries=8)"
        for count, window in ((10, 64), (40, 64), (80, 128), (150, 128))
    ],
    "minference": [
        f"minference(columns={count},slashes={count},sinks=4,nearest=4)" for count in (5, 8, 20, 60)
    ],
    "hyper-attention": [
        f"hyper-attention(exact=40,block={size},sample=0)" for size in (4, 16, 40, 160)
    ],
}


def measured(spelling):
    """Density, error of each row, and mass of dense attention on the keys that a row sees."""
    queries, keys, values = inputs(LENGTH, LENGTH)
    offsets = inputs(LENGTH, LENGTH, seed=1)[1][:, ::16].repeat_interleave(16, 1)
    keys = keys + offsets
    scores = torch.einsum("thd,hed->the", queries, keys.repeat_interleave(3, 0)) * 0.4
    later = torch.ones(LENGTH, LENGTH).triu(1).bool()
    dense = scores.masked_fill(later[:, None], -torch.inf).softmax(-1)
    method = catalogue.build(spelling)

    found = method.on_attention(view_over(queries, keys, values, shape_of()))
    identity = torch.eye(LENGTH, dtype=torch.float64).expand(2, -1, -1)
    shares = method.on_attention(view_over(queries, keys, identity, shape_of())).out

    exact = torch.einsum("the,hev->thv", dense, values.repeat_interleave(3, 0))
    error = (found.out.view_as(exact) - exact).norm(dim=-1)
    recall = (dense * (shares.view_as(dense) > 0)).sum(-1)
    longest = values.norm(dim=-1).amax()
    return found.pairs / (LENGTH * (LENGTH + 1) / 2), error / longest, recall


@pytest.mark.parametrize("name", fast_each(2, CASES))
def test_more_pairs_recall_more_mass_and_the_missed_mass_bounds_the_error(name):
    found = [measured(spelling) for spelling in CASES[name]]

    densities = [density for density, _, _ in found]
    errors = [float(error.mean()) for _, error, _ in found]
    recalls = [float(recall.mean()) for _, _, recall in found]
    assert densities == sorted(densities)
    assert recalls == sorted(recalls)
    assert errors == sorted(errors, reverse=True)
    assert recalls[-1] > recalls[0] + 0.1
    for _, error, recall in found:
        # Dense attention and attention over the seen keys are twice the missed mass apart.
        assert (error <= 2 * (1 - recall) + 1e-9).all()
    assert errors[0] > 0.01


def test_mean_keys_of_dropped_blocks_halve_the_error():
    _, without, _ = measured(FLASH.format(1.0, "means=False"))
    _, corrected, _ = measured(FLASH.format(1.0, "means=True"))

    assert float(corrected.mean()) < 0.7 * float(without.mean())
