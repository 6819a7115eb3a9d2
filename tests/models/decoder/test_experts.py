import torch
import torch.nn.functional as F

from forethought.models.decoder.experts import Experts


def test_tokens_read_their_own_experts_until_all_are_read():
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

    assert read == [router + all_experts * part // 4 for part in (1, 3, 4, 4)]
