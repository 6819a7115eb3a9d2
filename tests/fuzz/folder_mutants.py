"""Mutants of folders as model hubs publish them: settings, indexes and safetensors headers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from forethought.models.chat.transcript import ScoredTokens
from forethought.models.encoders.encoder import Encoder
from forethought.models.encoders.reward_model import RewardHead
from forethought.models.encoders.sentence_encoder import open_sentence_encoder
from forethought.models.sources.folder import FolderCheckpoint
from tests.fuzz.mutation import TEXTS, changed_bytes, changed_json, written_json
from tests.fuzz.used import used
from tests.models.decoder.test_decoder_parity import FAMILIES
from tests.models.random_models import random_model
from tests.models.tiny_encoders import save_encoder
from tests.models.tiny_rewards import TEMPLATE, bytes_tokenizer, random_judge, save_judge

Files = dict[str, bytes]
_INDEX = "model.safetensors.index.json"
_VALUES: tuple[tuple[str, Any], ...] = (
    ("model_type", "llama"),
    ("model_type", "gpt_neox"),
    ("model_type", "opt"),
    ("model_type", "gemma3"),
    ("hidden_act", "gelu"),
    ("rope_scaling", {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}),
    ("rope_scaling", {"type": "yarn", "factor": 4.0}),
    ("rope_parameters", {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}),
    ("rope_parameters", {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {}}),
    ("rope_scaling", {"type": "longrope", "short_factor": [1.0] * 6, "long_factor": [2.0] * 6}),
    ("rope_scaling", [1]),
    ("partial_rotary_factor", 0.5),
    ("layer_types", ["full_attention"] * 4),
    ("sliding_window", 4),
    ("use_sliding_window", True),
    ("max_window_layers", 1),
    ("num_key_value_heads", 1),
    ("head_dim", 8),
    ("tie_word_embeddings", True),
    ("attention_bias", True),
    ("no_rope_layers", [0, 1, 1, 1]),
    ("text_config", {"model_type": "llama"}),
    ("quantization_config", {"quant_method": "fp8"}),
    ("eos_token_id", [1, 2]),
    ("bos_token", {"content": "<s>"}),
    ("chat_template", [{"name": "default", "template": TEMPLATE}]),
    ("add_bos_token", True),
    ("auto_map", {"AutoModelForCausalLM": "x.y"}),
    ("torch_dtype", "float16"),
)
_DTYPES = ("F32", "F16", "BF16", "F64", "I8", "U8", "I64", "BOOL", "F8_E4M3", "F4", "X9", "")


def folder_mutant(random: Random, folder: Path) -> Callable[[], object]:
    """A folder with one or two of its files changed."""
    originals = _originals()
    name = random.choice(sorted(originals))
    files = dict(originals[name])
    for _ in range(random.choice((1, 1, 2))):
        _change(random, files, originals)
    place = folder / "model"
    place.mkdir()
    for file, data in files.items():
        (place / file).write_bytes(data)
    return lambda: _USES.get(name.partition("-")[0], _model)(place, random)


def _change(random: Random, files: Files, originals: dict[str, Files]) -> None:
    file = random.choice(sorted(files))
    if "config.json" in files and random.random() < 0.45:
        file = "config.json"
    data = files[file]
    match random.randrange(12):
        case 0:
            del files[file]
        case 1:
            files[file] = changed_bytes(random, data, data)
        case 2:
            other = originals[random.choice(sorted(originals))]
            files[file] = other.get(file, data)
        case _ if file.endswith(".safetensors"):
            files[file] = _changed_header(random, data)
        case _ if file.endswith(".json") and data:
            files[file] = written_json(random, _changed_settings(random, data))
        case _:
            files[file] = changed_bytes(random, data)


def _changed_settings(random: Random, data: bytes) -> Any:
    try:
        value = json.loads(data)
        json.dumps(value)
    except (ValueError, RecursionError):  # it was changed before
        return {}
    if isinstance(value, dict) and "weight_map" in value and random.random() < 0.5:
        name = random.choice(sorted(value["weight_map"]))
        outside = (
            "../x.safetensors",
            "/etc/passwd",
            "..",
            "",
            "C:\\x",
            "model.safetensors",
            *TEXTS,
        )
        value["weight_map"][name] = random.choice(outside)
        return value
    return changed_json(random, value, _VALUES)


def _changed_header(random: Random, data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        name = random.choice(sorted(header))
        entry = dict(header[name])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):  # it was changed before
        return changed_bytes(random, data)
    header[name] = entry
    body = data[8 + length :]
    match random.randrange(8):
        case 0 if "dtype" in entry:
            entry["dtype"] = random.choice(_DTYPES)
        case 1 if "shape" in entry:
            shapes = ([], [0], [1 << 62, 4], entry["shape"][::-1], [*entry["shape"], 1], [-1])
            entry["shape"] = random.choice(shapes)
        case 2 if "data_offsets" in entry:
            a, b = entry["data_offsets"]
            places = ([a, b + 4], [b, a], [0, b], [a + 4, b], [a, 1 << 62], [a])
            entry["data_offsets"] = random.choice(places)
        case 3:
            header[random.choice(sorted(header))] = header.pop(name)
        case 4:
            del header[name]
        case 5:
            body = random.choice((body[:-4], body + b"0000", random.randbytes(len(body))))
        case _:
            header = changed_json(random, header)
    text = written_json(random, header)
    stated = random.choice((*[len(text)] * 12, 0, len(text) - 1, 1 << 40, (1 << 64) - 1))
    return stated.to_bytes(8, "little") + text + body


def _model(place: Path, random: Random) -> None:
    used(str(place), place.parent, random)


def _reward(place: Path, random: Random) -> None:
    words = random.choice(((), ("-", "+")))
    head = RewardHead(FolderCheckpoint(place), "cpu", words)
    tokens = head.tokenizer.encode("a 12 b")
    head.chances([ScoredTokens(tuple(tokens), tuple(range(len(tokens))[-1:]))])


def _encoder(place: Path, random: Random) -> None:
    open_sentence_encoder.cache_clear()
    open_sentence_encoder(str(place)).embed(["the cat sat", "", "dogs " * 99])
    Encoder(FolderCheckpoint(place), "cpu").read([[1, 2, 3]], lambda states: states)


_USES: dict[str, Callable[[Path, Random], None]] = {"reward": _reward, "encoder": _encoder}


@cache
def _originals() -> dict[str, Files]:
    with tempfile.TemporaryDirectory() as place:
        return {name: _files(folder) for name, folder in _written(Path(place))}


def _files(folder: Path) -> Files:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def _written(place: Path) -> Iterator[tuple[str, Path]]:
    sizes = {"vocab_size": 260, "bos_token_id": 256, "eos_token_id": 258, "pad_token_id": 258}
    for name, (kind, settings) in FAMILIES.items():
        folder = place / name
        model = random_model(kind, **{**settings, **sizes})
        save_judge(folder, model)
        yield name, folder
    neox = random_model("gpt_neox", **sizes)
    yield "other", save_judge(place / "other", neox)
    yield "reward", save_judge(place / "reward", random_judge("qwen2", "ForTokenClassification"))
    save_encoder(place / "encoder", "Bert")
    yield "encoder", place / "encoder"
    yield "sharded", _sharded(place / "llama", place / "sharded")


def _sharded(whole: Path, folder: Path) -> Path:
    """The same model in two files with an index."""
    folder.mkdir()
    for file in whole.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    with safe_open(whole / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    index: dict[str, str] = {}
    names = sorted(tensors)
    for part, chosen in (("a.safetensors", names[::2]), ("b.safetensors", names[1::2])):
        save_file({name: tensors[name].to(torch.bfloat16) for name in chosen}, folder / part)
        index |= dict.fromkeys(chosen, part)
    (folder / _INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    bytes_tokenizer().save(str(folder / "tokenizer.json"))
    return folder
