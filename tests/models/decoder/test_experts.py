import pytest
import torch
import torch.nn.functional as F

from forethought.models.decoder.experts import Experts


def test_tokens_read_as_many_experts_as_uniform_draws_meet():
    experts = Experts(
        torch.zeros(8, 16),
        torch.zeros(8, 24, 16),
        torch.zeros(8, 16, 12),
        chosen=2,
        normalise=True,
        activation=F.silu,
    )
    router, all_experts = 8 * 16 * 4, 8 * 3 * 16 * 12 * 4

    read = [experts.weight_bytes(tokens) for tokens in (1, 3, 4, 100)]

    shares = [2 / 8, 1 - (6 / 8) ** 3, 1 - (6 / 8) ** 4, 1.0]
    assert read == pytest.approx([router + all_experts * share for share in shares], abs=1)
