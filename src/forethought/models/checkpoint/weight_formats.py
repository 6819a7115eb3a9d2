"""Detects quantised weight formats from settings and tensor names, and refuses unsupported ones.

Quantisation tools state their format in one of several files, or in tensor names only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.scaled_weights import SCALED_DTYPES, USE_ANOTHER, Block
from forethought.models.checkpoint.tensor_folder import FETCH_AGAIN, StoredTensor

PLAIN_DTYPES = ("F64", "F32", "F16", "BF16")
MODELOPT_STATEMENT = "hf_quant_config.json"
"""The file with ModelOpt's settings, beside or in place of config.json."""
USUAL_BLOCK = (128, 128)

_NAMES = {
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "gptq": "GPTQ",
    "mxfp4": "MXFP4",
    "quark": "Quark",
    "torchao": "torchao",
}
_READ = ("fp8", "fbgemm_fp8", "compressed-tensors", "modelopt")
_READ_BY_MODELOPT = (None, "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO")
_READ_BY_COMPRESSED_TENSORS = (
    *(None, "dense", "mixed-precision"),
    *("float-quantized", "int-quantized", "naive-quantized"),
)
_FOREIGN_NAMES = {
    r"[._]lora_(A|B|embedding|magnitude)": "LoRA adapters beside the weights",
    r"\.(qweight|qzeros|g_idx)$": "GPTQ or AWQ weights",
    r"\.weight_packed$": "packed weights (compressed-tensors)",
    r"\.(compressed|bitmask|row_offsets)$": "sparse weights (compressed-tensors)",
    r"\.(absmax|quant_map|SCB)$|\.quant_state\.": "bitsandbytes weights",
    r"\.weight\._(data|scale)$": "quanto weights",
    r"_proj_blocks$": "MXFP4 weights",
    r"\.weight_scale_2$": "NVFP4 weights (ModelOpt)",
    r"\.pre_quant_scale$": "weights with smoothed inputs (ModelOpt)",
    r"\.weight_scales$": "EETQ weights",
}
_IGNORED = re.compile(
    r"\.(input|output|act|activation|q|k|v|kv|prob)_(scale|zero_point)$", re.ASCII
)
"""Scales of activations and of the KV cache, which run in bf16."""


def is_of_activations(name: str) -> bool:
    """Whether a tensor scales activations or the KV cache, and not a weight."""
    return _IGNORED.search(name) is not None


def stated_blocks(
    config: Mapping[str, Any], modelopt: Mapping[str, Any]
) -> Collection[Block] | None:
    """The block sizes of weight scales that the folder's settings imply.

    None if no setting mentions quantised weights. `modelopt` is the content of
    `MODELOPT_STATEMENT`. Raises UnsupportedModelError for an unsupported format, and
    DamagedFileError for malformed settings.
    """
    stated = list(_statements(config, modelopt))
    try:
        found = [block for method, table in stated for block in _blocks(method, table)]
    except (TypeError, ValueError, OverflowError) as error:
        raise DamagedFileError(
            f"the folder's quantisation settings are malformed: {error}", FETCH_AGAIN
        ) from error
    return found if stated else None


def refuse_foreign(stored: Mapping[str, StoredTensor], folder: Path) -> None:
    """Raise UnsupportedModelError for tensors of an unsupported format."""
    if (folder / "adapter_config.json").is_file():
        raise _unsupported("LoRA adapters beside the weights")
    for pattern, what in _FOREIGN_NAMES.items():
        if any(re.search(pattern, name) for name in stored):
            raise _unsupported(what)
    for name, tensor in stored.items():
        if tensor.dtype == "U32" and name.removesuffix("weight") + "scales" in stored:
            raise _unsupported("packed MLX weights")
        if name.endswith(".weight") and tensor.dtype not in (*PLAIN_DTYPES, *SCALED_DTYPES):
            raise _unsupported(f"{tensor.dtype} weights ({name})")


def _unsupported(what: str) -> UnsupportedModelError:
    lora = "LoRA" in what
    return UnsupportedModelError(
        f"the folder holds {what}, which are not supported",
        "merge the adapter into the weights first" if lora else USE_ANOTHER,
    )


def _statements(
    config: Mapping[str, Any], modelopt: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The method and settings of each statement about quantisation."""
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        if stated := place.get("compression_config"):
            yield "compressed-tensors", _table(stated)
        if stated := place.get("quantization_config") or place.get("quantization"):
            yield _method(_table(stated)), _table(stated)
    if modelopt:
        yield "modelopt", modelopt


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DamagedFileError(
            f"the folder's quantisation settings are {str(value)[:80]!r}", FETCH_AGAIN
        )
    return value


def _method(table: Mapping[str, Any]) -> str:
    """The tool that quantised the weights; MLX settings name no method."""
    stated = table.get("quant_method")
    if stated is None:
        known = {"load_in_8bit": "bitsandbytes", "load_in_4bit": "bitsandbytes", "bits": "MLX"}
        return next((tool for key, tool in known.items() if key in table), "quantised")
    return "modelopt" if str(stated).startswith("modelopt") else str(stated).lower()


def _blocks(method: str, table: Mapping[str, Any]) -> Iterator[Block]:
    if method == "compressed-tensors":
        yield from _of_compressed_tensors(table)
    elif method == "modelopt":
        kind = _table(table.get("quantization", table)).get("quant_algo")
        if kind not in _READ_BY_MODELOPT:
            raise _unsupported(f"{str(kind)[:40]} weights (ModelOpt)")
        if kind == "FP8_PB_WO":
            yield USUAL_BLOCK
    elif method not in _READ:
        bits = table.get("bits", table.get("w_bit"))
        size = f"{bits}-bit " if isinstance(bits, int) else ""
        raise _unsupported(f"{size}{_NAMES.get(method, method[:40])} weights")
    elif table.get("weight_block_size") is not None:
        yield _block(table["weight_block_size"])


def _of_compressed_tensors(table: Mapping[str, Any]) -> Iterator[Block]:
    groups = [_table(group) for group in _table(table.get("config_groups") or {}).values()]
    sparse = _table(table.get("sparsity_config") or {}).get("format")
    for stated in (table.get("format"), sparse, *(group.get("format") for group in groups)):
        if stated not in _READ_BY_COMPRESSED_TENSORS:
            raise _unsupported(f"{str(stated)[:40]} weights (compressed-tensors)")
    if table.get("transform_config"):
        raise _unsupported("rotated weights (compressed-tensors)")
    for group in groups:
        weights = _table(group.get("weights") or {})
        if weights.get("strategy") == "block":
            yield _block(weights.get("block_structure"))
        elif weights.get("strategy") == "group":
            yield _block([1, weights.get("group_size")])


def _block(stated: Any) -> Block:
    """Two sizes, as a list or as a string such as 128x128."""
    parts = stated.split("x") if isinstance(stated, str) else list(stated)
    rows, columns = map(int, parts)
    if min(rows, columns) < 1:
        raise ValueError(f"blocks of {rows} x {columns}")
    return rows, columns
