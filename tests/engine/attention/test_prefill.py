import pytest
import torch

from forethought.engine.attention import prefill
from forethought.engine.attention.prefill import Visibility, attend_causal, attend_fused
from tests.engine.written_out import future, inputs, plain, shape_of


def test_blocks_of_queries_equal_attention_written_out():
    for length, entries in (
        (1, 1),
        (7, 7),
        (300, 300),
        (5, 40),
        (200, 333),
        (300, 333),
        (520, 700),
    ):
        queries, keys, values = inputs(length, entries)

        out = attend_causal(queries, keys, values, shape_of(), Visibility())

        expected = plain(queries, keys, values, shape_of(), future(length, entries))
        torch.testing.assert_close(out, expected)


def test_bfloat16_blocks_stay_close_to_exact():
    queries, keys, values = inputs(300, 300, dtype=torch.bfloat16)

    out = attend_causal(queries, keys, values, shape_of(), Visibility())

    expected = plain(queries, keys, values, shape_of(), future(300, 300))
    # Scores and weights are rounded to 8 bits each; values are of order one.
    assert (out.double() - expected).abs().max() < 0.03


def test_a_window_hides_what_is_too_old_by_position_not_by_index():
    queries, keys, values = inputs(40, 60)
    positions = torch.cat([torch.arange(0, 60, 3), torch.arange(60, 100)])

    out = attend_causal(
        queries, keys, values, shape_of(window=25), Visibility(25, positions[20:], positions)
    )

    far = positions[20:, None] - positions >= 25
    expected = plain(queries, keys, values, shape_of(), future(40, 60) | far)
    torch.testing.assert_close(out, expected)


def test_softcap_squashes_scores():
    queries, keys, values = inputs(50, 50)
    shape = shape_of(softcap=1.5)

    out = attend_causal(queries, keys, values, shape, Visibility())

    torch.testing.assert_close(out, plain(queries, keys, values, shape, future(50, 50)))


def test_the_fused_kernel_gives_the_same():
    queries, keys, values = inputs(30, 75)

    out = attend_fused(queries, keys, values, shape_of())

    expected = attend_causal(queries, keys, values, shape_of(), Visibility())
    torch.testing.assert_close(out, expected)


def test_blocks_of_a_long_prompt_share_their_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: set[int] = set()
    product = torch.mm

    def counted(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        widths.add(max(out.shape[1], a.shape[1]))
        return product(a, b, out=out)

    queries, keys, values = inputs(2048, 2048)
    monkeypatch.setattr(prefill, "_BLOCK_BYTES", 1)  # the smallest blocks: 32 of them
    monkeypatch.setattr(torch, "mm", counted)

    attend_causal(queries, keys, values, shape_of(), Visibility())

    assert len(widths) == 2048 // 256
