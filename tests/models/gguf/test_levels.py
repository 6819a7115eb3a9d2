from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from forethought.models.gguf.file import GgufTensor
from forethought.models.gguf.levels import levels_of

ROWS, COLUMNS = 8, 512


def random_tensor(folder: Path, kind: str) -> GgufTensor:
    """Any bytes are a valid block, but for scales that are no finite number."""
    rng = np.random.default_rng(0)
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    data = rng.integers(0, 256, (ROWS, COLUMNS // block, size), dtype=np.uint8)
    scales = rng.normal(0, 1, (ROWS, COLUMNS // block, 2)).astype(np.float16)
    leading = 2 if kind == "Q4_0" else 4
    data[..., :leading] = scales.view(np.uint8)[..., :leading]
    (folder / "tensor").write_bytes(data.tobytes())
    return GgufTensor("x", (ROWS, COLUMNS), kind, folder / "tensor", 0, COLUMNS // block * size)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q4_K"])
def test_levels_stand_for_exactly_the_stored_values(tmp_path: Path, kind: str) -> None:
    tensor = random_tensor(tmp_path, kind)
    expected = gguf.quants.dequantize(tensor.data(), gguf.GGMLQuantizationType[kind])

    levels = levels_of(tensor)

    assert levels is not None
    assert levels.levels.dtype == torch.uint8
    assert int(levels.levels.max()) == 15
    torch.testing.assert_close(levels.dense(), torch.from_numpy(expected), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("kind", ["Q8_0", "Q6_K", "Q5_0"])
def test_other_kinds_have_no_levels(tmp_path: Path, kind: str) -> None:
    assert levels_of(random_tensor(tmp_path, kind)) is None
