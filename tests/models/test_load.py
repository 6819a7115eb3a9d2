from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from forethought.contracts.errors import (
    DamagedFileError,
    UnknownNameError,
    UnsupportedModelError,
    UsageError,
)
from forethought.models.decoder import calibrate
from forethought.models.decoder.quantise import pack_levels, packed_name
from forethought.models.gguf.checkpoint import GgufCheckpoint
from forethought.models.load import known, load, pull
from forethought.models.model import Model
from forethought.models.sources.convert import add_decode_weights
from forethought.models.sources.model_cache import Source
from tests.models.tiny_gguf import (
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    TEMPLATE,
    WIDTH,
    TinyLlama,
    vocabulary,
    write_llama,
)
from tests.models.tiny_tokenizers import byte_level

TEXT = "hello world, said he: hello 123"


@pytest.fixture
def file(tmp_path: Path, own_cache: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    write_llama(path, TinyLlama(), kind="Q4_1")
    return path


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    path = tmp_path / "published"
    theirs = by_transformers()
    theirs.to(torch.bfloat16).save_pretrained(path)
    byte_level("smollm").save(str(path / "tokenizer.json"))
    (path / "chat_template.jinja").write_text(TEMPLATE)
    return path


def by_transformers() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        eos_token_id=[2, 0],
        bos_token_id=1,
    )
    theirs = LlamaForCausalLM(config).eval()
    state = {name: torch.from_numpy(values) for name, values in TinyLlama().tensors.items()}
    theirs.load_state_dict(state, strict=False)
    theirs.tie_weights()
    return theirs


def logits(model: Model, phase: str = "prefill") -> Tensor:
    tokens = torch.tensor(model.tokenizer.encode(TEXT))
    with torch.inference_mode():
        return model.network.forward(tokens, torch.arange(len(tokens)), _attend, phase=phase)


def _attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    group = HEADS // KV_HEADS
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mixed[0].transpose(0, 1).flatten(1)


def expected_logits(model: Model) -> Tensor:
    tokens = torch.tensor(model.tokenizer.encode(TEXT))
    with torch.inference_mode():
        found: Tensor = _same_by_transformers()(tokens[None]).logits[0]
    return found


@cache
def _same_by_transformers() -> LlamaForCausalLM:
    return by_transformers()


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_a_gguf_file_answers_like_the_model_it_was_made_from(file: Path) -> None:
    write_llama(file, TinyLlama(), kind="F32")
    model = load(str(file), device="cpu", weights="bf16")

    assert relative_error(logits(model), expected_logits(model)) < 0.02
    assert model.template == TEMPLATE
    assert model.tokenizer.ends == {0, 2}
    assert model.shape.context == 256


def test_four_bit_weights_are_those_of_the_file(file: Path) -> None:
    write_llama(file, TinyLlama(), kind="Q4_0")
    model = load(str(file), device="cpu", weights="int4")

    found, exact = logits(model, "decode"), logits(model, "prefill")

    assert 0 < relative_error(found, exact) < 0.03
    assert Source.read(model.folder).machine
    levels = GgufCheckpoint(file).levels("model.layers.1.mlp.down_proj.weight")
    assert levels is not None
    stored = load_file(model.folder / packed_name())
    for suffix, packed in pack_levels(levels).items():
        assert torch.equal(stored[f"layers.1.down.{suffix}"], packed)


def test_a_folder_of_safetensors_answers_like_transformers(folder: Path) -> None:
    model = load(str(folder), device="cpu")

    assert relative_error(logits(model), expected_logits(model)) < 0.02
    assert model.template == TEMPLATE
    assert model.tokenizer.ends == {0, 2}
    assert not Source.read(model.folder).machine


def test_four_bit_weights_of_a_folder_are_made_when_asked_for(folder: Path) -> None:
    model = load(str(folder), device="cpu", weights="int4")

    assert (model.folder / packed_name()).is_file()
    assert relative_error(logits(model, "decode"), expected_logits(model)) < 0.3


def test_weights_in_several_files_are_one_model(folder: Path) -> None:
    expected = logits(load(str(folder), device="cpu"))
    whole = folder / "model.safetensors"
    with safe_open(whole, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    whole.unlink()
    names = sorted(tensors)
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in part}, folder / f"part{i}.safetensors")
        weight_map |= dict.fromkeys(part, f"part{i}.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        f'{{"weight_map": {weight_map}}}'.replace("'", '"')
    )

    assert torch.equal(logits(load(str(folder), device="cpu")), expected)


def test_a_second_load_converts_nothing(file: Path) -> None:
    def written() -> dict[Path, int]:
        found = {path: path.stat().st_mtime_ns for path in pull(str(file)).iterdir()}
        # Measured beside other processes it is not kept, and so may be written later.
        found.pop(pull(str(file)) / calibrate.NAME, None)
        return found

    load(str(file), weights="int4", device="cpu")
    first = written()
    load(str(file), weights="int4", device="cpu")

    assert written() == first


def test_loading_bounds_the_caches_of_kernels(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "")  # so that it is put back
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")

    load(str(file), device="cpu")

    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) > 0


def test_a_model_the_decoder_does_not_know_runs_through_transformers(
    tmp_path: Path, own_cache: Path
) -> None:
    other = GPTNeoXConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=256,
    )
    theirs = GPTNeoXForCausalLM(other).eval()
    theirs.save_pretrained(tmp_path / "other")
    byte_level("smollm").save(str(tmp_path / "other/tokenizer.json"))

    model = load(str(tmp_path / "other"), device="cpu")

    tokens = torch.tensor(model.tokenizer.encode(TEXT))
    places = torch.arange(len(tokens))
    found = model.network.forward(tokens, places, _attend_alike, phase="prefill")
    with torch.inference_mode():
        torch.testing.assert_close(found, theirs(tokens[None]).logits[0], atol=1e-4, rtol=1e-4)
    with pytest.raises(UsageError, match="published"):
        load(str(tmp_path / "other"), device="cpu", weights="int4")


def _attend_alike(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mixed[0].transpose(0, 1).flatten(1)


def test_a_changed_file_is_converted_anew(file: Path) -> None:
    before = logits(load(str(file), device="cpu"))
    write_llama(file, TinyLlama(seed=1), kind="Q4_1")

    assert not torch.equal(logits(load(str(file), device="cpu")), before)


def test_weights_packed_elsewhere_are_packed_again_and_stay(file: Path) -> None:
    place = pull(str(file))
    before = logits(load(str(file), device="cpu"), "decode")
    elsewhere = packed_elsewhere(place)

    after = logits(load(str(file), device="cpu", weights="int4"), "decode")

    assert torch.equal(after, before)
    assert elsewhere.is_file()


def test_weights_packed_elsewhere_without_their_source_say_what_to_do(file: Path) -> None:
    place = pull(str(file))
    packed_elsewhere(place)
    file.unlink()

    with pytest.raises(UnsupportedModelError) as caught:
        add_decode_weights(place)

    assert "--again" in caught.value.hint


def packed_elsewhere(place: Path) -> Path:
    """Make the packed weights of a converted model those of another machine."""
    elsewhere = place / "decode-of-another-machine.safetensors"
    return (place / packed_name()).rename(elsewhere)


def test_asking_for_four_bits_once_changes_no_later_run(folder: Path) -> None:
    before = logits(load(str(folder), device="cpu"), "decode")
    load(str(folder), device="cpu", weights="int4")

    assert torch.equal(logits(load(str(folder), device="cpu"), "decode"), before)


def test_a_cut_file_leaves_nothing_in_the_cache(file: Path, own_cache: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])

    with pytest.raises(DamagedFileError):
        load(str(file))

    assert [path for path in own_cache.rglob("*") if path.is_file()] == _locks(own_cache)


def _locks(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.name.endswith(".lock")]


def test_a_missing_tensor_is_reported_and_leaves_nothing(folder: Path, own_cache: Path) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    whole = folder / "model.safetensors"
    with safe_open(whole, "pt") as file:
        tensors = {n: file.get_tensor(n) for n in file.keys() if n != name}  # noqa: SIM118
    save_file(tensors, whole)

    with pytest.raises(DamagedFileError, match="down_proj"):
        load(str(folder))

    assert [path for path in own_cache.rglob("*") if path.is_file()] == _locks(own_cache)


def test_cut_safetensors_are_refused(folder: Path) -> None:
    whole = folder / "model.safetensors"
    whole.write_bytes(whole.read_bytes()[:-10])

    with pytest.raises(DamagedFileError, match=r"model\.safetensors"):
        load(str(folder))


def test_two_processes_may_convert_at_once(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=pull, args=(str(file),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]
    assert logits(load(str(file), device="cpu")).isfinite().all()


def test_progress_runs_from_nothing_to_all(file: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    pull(str(file), progress=lambda *state: seen.append(state))

    stages = dict.fromkeys(what.split()[0] for what, _, _ in seen)
    assert list(stages) == ["converting", "packing"]
    ends = {what: (done, total) for what, done, total in seen}
    assert all(done == total for done, total in ends.values())


def test_an_unknown_name_suggests_known_ones(own_cache: Path) -> None:
    with pytest.raises(UnknownNameError, match="smolm2") as caught:
        load("smolm2")

    assert "smollm2" in caught.value.hint
    assert "smollm2" in known()


@pytest.mark.parametrize("name", ["./nowhere", "nowhere.gguf", "/no/such/folder"])
def test_a_path_without_a_model_is_a_usage_error(name: str, own_cache: Path) -> None:
    with pytest.raises(UsageError, match="no model at"):
        load(name)


def test_an_unknown_weight_format_is_refused(file: Path) -> None:
    with pytest.raises(UnknownNameError, match="int3"):
        load(str(file), weights="int3")


def test_a_model_may_be_given_up_and_fetched_again(file: Path) -> None:
    place = pull(str(file))
    shutil.rmtree(place)
    called: list[str] = []
    note: Callable[[str, int, int], None] = lambda what, done, total: called.append(what)  # noqa: E731

    assert pull(str(file), progress=note) == place
    assert called


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
@pytest.mark.parametrize("damage", ["gone", "binary"])
def test_a_damaged_converted_folder_names_the_command_that_mends_it(
    file: Path, name: str, damage: str
) -> None:
    place = pull(str(file)) / name
    if damage == "gone":
        place.unlink()
    else:
        place.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(DamagedFileError) as raised:
        load(str(file), device="cpu")

    assert "pull MODEL --again" in raised.value.hint
    pull(str(file), again=True)
    load(str(file), device="cpu")


def test_a_folder_whose_tensors_are_not_as_configured_is_refused_and_not_kept(
    folder: Path, own_cache: Path
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 7}))

    with pytest.raises(DamagedFileError, match="the configuration says"):
        load(str(folder), device="cpu")

    assert [path for path in (own_cache / "models").iterdir() if path.suffix != ".lock"] == []


def test_a_calibration_that_cannot_be_kept_is_no_error(file: Path) -> None:
    place = pull(str(file))
    (place / "calibration.json").unlink(missing_ok=True)
    (place / ".calibration.json").mkdir()  # what is written there fails

    assert load(str(file), device="cpu", weights="int4").network
