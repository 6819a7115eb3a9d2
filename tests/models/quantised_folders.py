"""Folders of tiny models as quantising tools publish them, and a slow way to read them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

E4M3, E5M2, INT8 = torch.float8_e4m3fn, torch.float8_e5m2, torch.int8
_LARGEST = {E4M3: 448.0, E5M2: 57344.0, INT8: 127.0}
Block = tuple[int, int]


@dataclass(frozen=True)
class Format:
    """How a tool stores the weights of linear layers."""

    dtype: torch.dtype
    block: Callable[[Tensor], Block]
    """Of a weight: how many rows and columns share a scale."""
    scale_shape: Callable[[Tensor], Tensor] = lambda grid: grid
    scale_dtype: torch.dtype = torch.float32
    scale_name: str = "weight_scale"
    zero_points: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    """What is added to config.json."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What hf_quant_config.json holds."""
    extra: tuple[str, ...] = ()
    """Scalars beside each weight, such as an activation scale."""


def whole(weight: Tensor) -> Block:
    return weight.shape[0], weight.shape[1]


def rows(weight: Tensor) -> Block:
    return 1, weight.shape[1]


def blocks_of(height: int, width: int) -> Callable[[Tensor], Block]:
    return lambda weight: (height, width)


def is_linear(name: str) -> bool:
    return name.endswith("_proj.weight")


def quantise(folder: Path, form: Format) -> dict[str, Tensor]:
    """Quantise a plain folder in place; the bf16 weights that its stored values stand for."""
    file = folder / "model.safetensors"
    plain, stored, meant = load_file(file), {}, {}
    for name, weight in plain.items():
        if not is_linear(name):
            stored[name] = meant[name] = weight
            continue
        found = quantised(weight.float(), form)
        prefix = name.removesuffix("weight")
        stored |= {prefix + part: tensor for part, tensor in found.items()}
        stored |= {prefix + extra: torch.tensor(0.5) for extra in form.extra}
        meant[name] = read_slowly(found, form)
    save_file(stored, file, {"format": "pt"})
    _state(folder, form)
    return meant


def _state(folder: Path, form: Format) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **form.config}))
    if form.beside:
        (folder / "hf_quant_config.json").write_text(json.dumps(form.beside))


def quantised(weight: Tensor, form: Format) -> dict[str, Tensor]:
    """The tensors of one weight, each block with the range that its own values need."""
    height, width = form.block(weight)
    grid = -(-weight.shape[0] // height), -(-weight.shape[1] // width)
    scales, zeros = torch.zeros(grid), torch.zeros(grid, dtype=torch.int8)
    values = torch.zeros_like(weight)
    for i in range(grid[0]):
        for j in range(grid[1]):
            part = weight[i * height : (i + 1) * height, j * width : (j + 1) * width]
            scale = part.abs().max() / _LARGEST[form.dtype]
            if form.scale_dtype == torch.float8_e8m0fnu:  # rounded up, or values overflow
                scale = scale.log2().ceil().exp2()
            scale = scale.to(form.scale_dtype).float()
            zeros[i, j] = 5 if form.zero_points else 0
            scales[i, j] = scale
            levels = part / scale + zeros[i, j]
            if form.dtype == INT8:
                levels = levels.round().clamp(-128, 127)
            values[i * height : (i + 1) * height, j * width : (j + 1) * width] = levels
    shaped = form.scale_shape(scales).to(form.scale_dtype)
    found = {"weight": values.to(form.dtype), form.scale_name: shaped}
    return found | ({"weight_zero_point": form.scale_shape(zeros)} if form.zero_points else {})


def read_slowly(found: Mapping[str, Tensor], form: Format) -> Tensor:
    """bf16: value by value, from the definition of the formats."""
    stored = found["weight"]
    height, width = form.block(stored)
    scales = [_rounded(one) for one in found[form.scale_name].float().flatten().tolist()]
    zeros = found.get("weight_zero_point", torch.zeros(len(scales))).flatten().tolist()
    across = -(-stored.shape[1] // width)
    numbers = stored.view(torch.uint8).tolist()
    meant = torch.zeros(stored.shape, dtype=torch.bfloat16)
    for i, line in enumerate(numbers):
        for j, byte in enumerate(line):
            at = (i // height) * across + j // width
            meant[i, j] = _meant(byte, form.dtype, zeros[at], scales[at])
    return meant


@cache
def _meant(byte: int, dtype: torch.dtype, zero: float, scale: float) -> float:
    """What one stored byte stands for with its zero point and its scale."""
    level = _rounded(_value(byte, dtype) - zero)
    return _to_bfloat16(_rounded(level * scale))


def _value(byte: int, dtype: torch.dtype) -> float:
    """What one stored byte stands for."""
    if dtype == INT8:
        return float(byte - 256 if byte > 127 else byte)
    exponent_bits, mantissa_bits, bias = (4, 3, 7) if dtype == E4M3 else (5, 2, 15)
    sign = -1.0 if byte >> 7 else 1.0
    exponent = (byte >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (byte & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias)
    return sign * (1 + mantissa) * 2.0 ** (exponent - bias)


def _rounded(value: float) -> float:
    """The nearest float32."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _to_bfloat16(value: float) -> float:
    """The nearest bf16, ties to even."""
    bits = struct.unpack("I", struct.pack("f", value))[0]
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return float(struct.unpack("f", struct.pack("I", bits))[0])


def compressed_tensors(kind: str, **weights: Any) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "format": kind,
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
    }


def fp8(**settings: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": "fp8", **settings}}


def modelopt(kind: str) -> dict[str, Any]:
    return {
        "producer": {"name": "modelopt", "version": "0.42"},
        "quantization": {"quant_algo": kind, "kv_cache_quant_algo": "FP8"},
    }


CACHE_SCALES = ("input_scale", "k_scale", "v_scale")
FORMATS = {
    "modelopt beside": Format(
        E4M3, whole, lambda grid: grid[0, 0], beside=modelopt("FP8"), extra=CACHE_SCALES
    ),
    "modelopt in the configuration": Format(
        E4M3,
        whole,
        lambda grid: grid[0],
        config={"quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}},
        extra=CACHE_SCALES,
    ),
    "modelopt, blocks kept as axes": Format(
        E4M3,
        blocks_of(128, 128),
        lambda grid: grid[:, None, :, None],
        beside=modelopt("FP8_PB_WO"),
    ),
    "modelopt, rows": Format(
        E4M3, rows, lambda grid: grid[:, 0], beside=modelopt("FP8_PER_CHANNEL_PER_TOKEN")
    ),
    "compressed-tensors, rows": Format(
        E4M3,
        rows,
        scale_dtype=torch.bfloat16,
        config={
            "quantization_config": compressed_tensors(
                "float-quantized", num_bits=8, type="float", strategy="channel"
            )
        },
        extra=("input_scale",),
    ),
    "compressed-tensors, older key": Format(
        E4M3,
        whole,
        lambda grid: grid[0],
        config={"compression_config": compressed_tensors("naive-quantized", strategy="tensor")},
    ),
    "compressed-tensors, blocks": Format(
        E4M3,
        blocks_of(48, 40),
        config={
            "quantization_config": compressed_tensors(
                "float-quantized", strategy="block", block_structure=[48, 40]
            )
        },
    ),
    "fbgemm": Format(E4M3, rows, config={"quantization_config": {"quant_method": "fbgemm_fp8"}}),
    "fp8, whole": Format(
        E4M3,
        whole,
        lambda grid: grid[0, 0],
        config=fp8(activation_scheme="static"),
        extra=("input_scale",),
    ),
    "fp8, blocks": Format(
        E4M3,
        blocks_of(16, 32),
        scale_name="weight_scale_inv",
        config=fp8(activation_scheme="dynamic", weight_block_size=[16, 32]),
    ),
    "fp8, powers of two": Format(
        E4M3,
        blocks_of(16, 32),
        scale_dtype=torch.float8_e8m0fnu,
        scale_name="weight_scale_inv",
        config=fp8(weight_block_size=[16, 32], scale_fmt="ue8m0"),
    ),
    "another FP8": Format(E5M2, rows, config=fp8()),
    "int8, rows": Format(
        INT8,
        rows,
        config={
            "quantization_config": compressed_tensors(
                "int-quantized", num_bits=8, type="int", strategy="channel"
            )
        },
    ),
    "int8, zero points": Format(
        INT8,
        rows,
        zero_points=True,
        config={
            "quantization_config": compressed_tensors(
                "int-quantized", num_bits=8, type="int", strategy="channel", symmetric=False
            )
        },
    ),
    "int8, groups": Format(
        INT8,
        blocks_of(1, 32),
        config={
            "quantization_config": compressed_tensors(
                "int-quantized", num_bits=8, strategy="group", group_size=32
            )
        },
    ),
    "int8, nothing stated": Format(INT8, rows, lambda grid: grid[:, 0]),
}
