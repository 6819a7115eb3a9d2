"""`forethought cost` as a user runs it: no weights, no torch, typed errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from forethought.cost.hardware import TABLE, Measured
from tests.cli.test_start_up import RUN

EXAMPLE = ["cost", "-m", "qwen2.5-1.5b", "-d", "qwen2.5-0.5b", "--on", "h100", "--prompt", "32k",
           "--answer", "1k", "-x", "specpc(keep=2048)"]  # fmt: skip


def answer(capsys, *arguments: str) -> str:
    assert exit_code(["cost", *arguments]) == 0
    return capsys.readouterr().out


def failed(capsys, *arguments: str) -> str:
    assert exit_code(["cost", *arguments]) == 2
    return capsys.readouterr().err


def test_the_example_needs_neither_torch_nor_numpy_and_reads_no_weights() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(arguments=EXAMPLE)], capture_output=True, text=True
    )

    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0"
    assert {"torch", "numpy", "scipy", "safetensors", "huggingface_hub"} & set(modules) == set()
    assert "kept      2,048 of 32,768 prompt tokens" in done.stdout


def test_the_text_names_stages_bounds_memory_and_the_source_of_the_price(capsys) -> None:
    text = answer(capsys, *EXAMPLE[1:])

    for said in ("draft", "prefill", "decode", "exact", "compute", "memory", "a lower bound",
                 "lambda.ai/instances, on demand, 2026-09-20", "FLOP/byte"):  # fmt: skip
        assert said in text.replace("\n            ", " ")


def test_a_method_that_the_run_skips_has_its_cost_and_a_draft_that_pays(capsys) -> None:
    alone = [part for part in EXAMPLE[1:] if part not in ("-d", "qwen2.5-0.5b")]

    told = answer(capsys, *alone).replace("\n            ", " ")
    found = json.loads(answer(capsys, *alone, "--json"))
    drafted = json.loads(answer(capsys, *EXAMPLE[1:], "--json"))

    assert found["skipped"] == ["specpc(keep=2048)"]
    assert found["cost"]["flops"] == found["exact"]["flops"]  # as the run itself: without specpc
    forced, better = found["alternatives"]
    assert (forced["draft"], better["draft"]) == ("", "qwen2.5-0.5b")
    assert [stage["name"] for stage in forced["stages"]] == ["draft", "prefill", "decode"]
    assert forced["kept"]["prompt_tokens"] == 2048
    for part in ("cost", "timing", "stages", "kept"):
        assert better[part] == drafted[part]
    fewer = 1 - drafted["cost"]["flops"] / found["cost"]["flops"]
    assert f"-d qwen2.5-0.5b applies specpc(keep=2048): {fewer:.0%} fewer FLOPs" in told
    assert "specpc(keep=2048) applied anyway: 2% fewer FLOPs, 18% less time" in told


def test_the_document_adds_up(capsys) -> None:
    found = json.loads(answer(capsys, *EXAMPLE[1:], "--json"))

    for kind in ("flops", "bytes_moved", "seconds"):
        parts = [stage[kind] for stage in found["stages"]]
        assert found["cost"][kind] == pytest.approx(sum(parts))
        assert found["cost"][kind] < found["exact"][kind]
    usd = found["cost"]["seconds"] * 4.29 / 3600
    assert found["cost"]["usd"] == pytest.approx(usd)
    assert found["kept"] == {"prompt_tokens": 2048, "of": 32768, "entries": 2048}
    stage = found["stages"][0]
    per_pass = sum(one["flops"] for one in stage["operations"])
    assert 0 < per_pass <= stage["flops"]


def test_batches_and_accelerators_share_and_repeat_the_work(capsys) -> None:
    one, eight, two = (
        json.loads(answer(capsys, "-m", "llama-3-8b", "--on", "a100", "--json", *more))
        for more in ([], ["--batch", "8"], ["--accelerators", "2"])
    )

    assert eight["cost"]["flops"] == 8 * one["cost"]["flops"]
    assert eight["cost"]["weight_bytes"] == one["cost"]["weight_bytes"]
    assert two["cost"]["seconds"] == pytest.approx(one["cost"]["seconds"] / 2)
    assert two["cost"]["usd"] == pytest.approx(one["cost"]["usd"])


def test_prices_come_from_the_line_then_from_a_file_then_from_the_table(capsys, tmp_path) -> None:
    file = tmp_path / "own.json"
    file.write_text('{"date": "2027-01-01", "usd_per_hour": {"h100": 36}}')
    line = ("-m", "smollm2", "--on", "h100", "--json")

    stated, own, table, none = (
        json.loads(answer(capsys, *line, *more))
        for more in (["--usd-per-hour", "3.6"], ["--prices", str(file)], [], ["--on", "l4"])
    )

    assert stated["cost"]["usd"] == pytest.approx(stated["cost"]["seconds"] / 1000)
    assert own["cost"]["usd"] == pytest.approx(own["cost"]["seconds"] / 100)
    assert table["price"]["date"] == "2026-09-20"
    assert (none["price"], none["cost"]["usd"]) == (None, None)


def test_a_folder_needs_its_config_alone(capsys, tmp_path) -> None:
    config = {"model_type": "llama", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48,
              "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
              "max_position_embeddings": 512}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))

    found = json.loads(
        answer(capsys, "-m", str(tmp_path), "--on", "h100", "--prompt", "10", "--answer", "1",
               "--json")
    )  # fmt: skip

    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48
    assert found["cost"]["flops"] == 2 * (2 * layer * 10 + 32 * 100) + 2 * 4 * 32 * 55


def test_the_roofline_is_drawn_to_a_file(capsys, tmp_path) -> None:
    file = tmp_path / "roof.svg"

    answer(capsys, *EXAMPLE[1:], "-o", str(file))

    drawn = file.read_text()
    assert drawn.startswith("<svg xmlns=")
    assert drawn.count("<circle") == 3 + 2
    assert "decode, 0.9" in drawn
    assert "memory-bound" in drawn


def test_this_machine_is_its_stored_probe(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path))
    rates = Measured(1e12, 1e11, 5e11, {"bf16": 2e10, "int4": 1e10}, 1e10, 1e-4, 1e-3)
    held = TABLE["i9-13900k"].document() | {"name": "here", "measured": vars(rates)}
    (tmp_path / "hardware.json").write_text(json.dumps(held))

    found = json.loads(answer(capsys, "-m", "smollm2", "--json"))
    text = answer(capsys, "-m", "smollm2")

    assert found["weights"] == "int4"  # as the engine decodes models that are published in 4 bit
    assert "predicted from the probe of this machine" in text.replace("\n            ", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "h1oo"], "no hardware is called 'h1oo'"),
        (["--on", "h100", "-m", "llama-9"], "no model is called 'llama-9'"),
        (["--on", "h100", "--prompt", "many"], "--prompt 'many' is no number of tokens"),
        (["--on", "h100", "--prompt", "0"], "--prompt '0' is no number of tokens"),
        (["--on", "h100", "--answer", "1e99"], "--answer '1e99' is no number"),
        (["--on", "h100", "-x", "snapkvv"], "no method is called 'snapkvv'"),
        (["--on", "h100", "--usd-per-hour", "-1"], "--usd-per-hour -1 is no price"),
        (["--on", "h100", "--probe"], "--probe measures this machine"),
        (["--on", "none.json"], "none.json does not describe hardware"),
        (["--on", "h100", "--prices", "none.json"], "none.json holds no prices"),
        (["--on", "h100", "-o", "roof.png"], "roof.png has no known report format"),
        (["--on", "h100", "-x", "auto"], "auto chooses methods for one prompt"),
        (["--on", "h100", "-m", "/"], "the sizes of / are not known"),
        (["--on", "h100", "-m", "http://127.0.0.1:1/v1#m"], "is a server, which does not tell"),
    ],
)
def test_wrong_input_is_told_with_a_hint(capsys, arguments: list[str], message: str) -> None:
    told = failed(capsys, *arguments)

    assert message in told
    assert "hint: " in told


def test_hardware_that_lacks_a_rate_is_refused(capsys, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    held = TABLE["h100"].document() | {"peak": 0}
    file.write_text(json.dumps(held))

    assert "a rate is not above 0" in failed(capsys, "--on", str(file))


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("{}", "it lacks name, title, bandwidth, peak, peak8, memory"),
        ("[]", "it is not a JSON object"),
        (json.dumps(TABLE["h100"].document() | {"peek": 1}), "'peek' is no field of it"),
        (json.dumps(TABLE["h100"].document() | {"measured": {"threads": 2}}), "product_flops"),
    ],
)
def test_a_file_that_is_no_hardware_is_refused_in_words(
    capsys, tmp_path: Path, held: str, message: str
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(held)

    told = failed(capsys, "--on", str(file))

    assert message in told
    assert "__init__" not in told


def test_energy_is_the_power_of_all_accelerators_for_the_time(capsys) -> None:
    line = ("-m", "smollm2", "--on", "h100", "--accelerators", "2")

    found, text = json.loads(answer(capsys, *line, "--json")), answer(capsys, *line)

    assert found["cost"]["joules"] == pytest.approx(2 * 700 * found["cost"]["seconds"])
    assert found["turning_point"] == pytest.approx(989.5e12 / 3350e9)
    assert "at 700 W an accelerator" in text
    assert "compute-bound above 295 FLOP/byte" in " ".join(text.split())


def test_timed_requests_predict_this_one(capsys, tmp_path) -> None:
    file = tmp_path / "timed.json"
    grid = [(p, o) for p in (100, 200) for o in (1, 10, 20)]
    rows = [{"prompt": p, "answer": o, "seconds": p / 1000 + 0.02 * (o - 1)} for p, o in grid]
    file.write_text(json.dumps(rows))
    line = ("-m", "smollm2", "--on", "h100", "--prompt", "150", "--answer", "11", "--usd-per-hour",
            "3600", "--accelerators", "2", "--timed", str(file))  # fmt: skip

    found, text = json.loads(answer(capsys, *line, "--json"))["idealized"], answer(capsys, *line)

    assert found["first_token"] == pytest.approx(0.15)
    assert found["seconds"] == found["seconds_by_context"] == pytest.approx(0.35)
    assert found["usd"] == pytest.approx(0.7)
    assert found["joules"] == pytest.approx(0.35 * 2 * 700)
    assert not found["extrapolated"]
    assert "0.35 s (idealized runtime of 6 timed requests)" in " ".join(text.split())
    assert "one answer to one request" in failed(capsys, *line, "--samples", "4")
    assert "a task is named" in failed(capsys, *line, "-t", "addition")


@pytest.mark.parametrize("words", [["prompt-lookup"], ["draft-model", "-d", "llama-3.2-1b"]])
def test_drafted_answers_are_said_to_be_uncounted(capsys, words: list[str]) -> None:
    asked = ["-m", "llama-3.1-8b", "--on", "h100", "--json"]
    with_drafts = json.loads(answer(capsys, *asked, "-x", *words))
    plain = json.loads(answer(capsys, *asked))

    decode = [
        next(stage["flops"] for stage in one["stages"] if stage["name"] == "decode")
        for one in (with_drafts, plain)
    ]
    assert decode[0] == decode[1]
    assert any("without drafted tokens" in note for note in with_drafts["notes"])
    assert not plain["notes"]
