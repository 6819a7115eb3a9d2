"""Probes fitted to stored answers of a tiny model, and in use."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from forethought.beliefs.probes.file import read
from forethought.cli.main import exit_code
from forethought.contracts.probing import PROBE_KINDS
from forethought.contracts.questions import Question
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Meter
from forethought.evaluation.probe_examples import cuts, difficulty_labels
from forethought.evaluation.probe_states import StateReader
from forethought.models.chat.prompt import chat_prompt
from tests.cli.tiny_folder import write_tiny_model
from tests.tiny_model import tiny_model

TASK = "addition(digits=1, count=24)"
MODEL = tiny_model("m", seed=4)
ASKED = Question("q", "What is the word?", "The word is tokens.")


@cache
def fresh(ids):
    """The state after the prompt and these tokens, by a pass of its own."""
    prompt = chat_prompt(MODEL.tokenizer, MODEL.template, ASKED.text, ASKED.document)
    shown = FinalStates()
    batch = Batch(MODEL.network, Meter(lambda: 0.0), final=shown)
    batch.prefill(SequenceCache(len(MODEL.shape.layers)), [*prompt.tokens, *ids])
    return shown.last.double().numpy()


def test_states_of_all_places_are_those_of_passes_of_their_own():
    meter = Meter(lambda: 0.0)
    prompt = StateReader(MODEL, meter).prompt(ASKED)
    answers = [tuple(MODEL.tokenizer.encode(text)) for text in ("ab\ncd", "x", "long " * 9)]
    at = [[2, 5], [0, 1], [0]]
    found = prompt.behind(answers, at)

    assert prompt.end == pytest.approx(fresh(()), abs=1e-9)
    for answer, places, own in zip(answers, at, found, strict=True):
        assert len(own) == len(places)
        for place, state in zip(places, own, strict=True):
            assert state == pytest.approx(fresh(answer[:place]), abs=1e-9)
    length = len(chat_prompt(MODEL.tokenizer, MODEL.template, ASKED.text, ASKED.document))
    assert meter.tokens == {"scoring": length + 5 + 1}
    assert meter.flops > 0


def test_an_answer_is_cut_before_the_ends_of_its_lines_and_its_own_end():
    encode = MODEL.tokenizer.encode
    assert cuts(MODEL.tokenizer, encode("ab\ncd"), ended=True) == [2, 5]
    assert cuts(MODEL.tokenizer, encode("ab\ncd"), ended=False) == [2, 4]
    assert cuts(MODEL.tokenizer, encode("ab\n"), ended=False) == [2]
    assert cuts(MODEL.tokenizer, encode("abcd"), ended=True, extra=[1]) == [1, 4]


class Stored:
    """A question's answers, as the fit sees them."""

    def __init__(self, accuracy, surprise):
        self.accuracy, self.surprise = accuracy, surprise


def test_the_surprise_of_a_normal_question_is_below_the_median_of_right_ones():
    asked = [Stored(0.9, 0.1), Stored(0.8, 0.2), Stored(0.7, 0.3), Stored(0.1, 0.1),
             Stored(0.4, 0.1)]  # fmt: skip
    found = difficulty_labels(asked)
    assert [int(found[n].argmax()) for n in range(5)] == [1, 1, 0, 2, 0]
    assert all(one.sum() == 1 for one in found.values())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def kept(model, tmp_path_factory):
    """Answers whose score depends on what the model says: some are right."""
    folder = tmp_path_factory.mktemp("kept")
    asked = ["evaluate", "majority-vote(n=4)", "-m", model, "-t", TASK, "--max-tokens", "6",
             "--temperature", "1.5", "--results", str(folder / "r.sqlite"), "-q"]  # fmt: skip
    assert exit_code(asked) == 0
    return folder / "r.sqlite"


def mixed(kept):
    """Give half of the stored answers the score 1: a random model is never right."""
    import sqlite3

    with sqlite3.connect(kept) as store:
        for key, run in store.execute("SELECT key, run FROM samples").fetchall():
            document = json.loads(run)
            for one in document["candidates"]:
                one["right"] = float(len(one["text"]) % 2)
            store.execute("UPDATE samples SET run = ? WHERE key = ?", (json.dumps(document), key))


def fit(model, kept, kind, *more):
    return exit_code(
        ["tune", "--probe", kind, "-m", model, "-t", TASK, "--results", str(kept), *more]
    )


def test_answers_that_are_all_wrong_teach_nothing(model, kept, capsys):
    assert fit(model, kept, "value-head") == 2
    assert "all labels are equal" in capsys.readouterr().err


@pytest.fixture(scope="module")
def mixed_store(model, kept, tmp_path_factory):
    copy = tmp_path_factory.mktemp("mixed") / "r.sqlite"
    copy.write_bytes(kept.read_bytes())
    mixed(copy)
    return copy


@pytest.mark.parametrize("kind", PROBE_KINDS)
def test_each_kind_is_fitted_written_and_used(model, mixed_store, tmp_path, capsys, kind):
    file = tmp_path / "p.safetensors"
    assert fit(model, mixed_store, kind, "-o", str(file), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    probe = read(str(file), kind, told["digest"])

    assert probe.record.tasks == ("addition(digits=1)",)
    assert told["questions"] == 24
    assert told["scoring_tokens"] > 0
    assert told["states"] == (24 if probe.at_prompt else told["tasks"][0][1])
    assert np.isfinite(told["cross_entropy"])
    named = f"{kind}(probe='{file}', digest={told['digest']})"
    by_scorer = ["-s", "best-of-n(n=2)", "--scorer", named]
    ways = {
        "value-head": by_scorer,
        "p-ik": ["--confidence", named],
        "restart-gain": ["-s", named],
        "difficulty": ["-s", named],
    }
    asked = ["ask", "x?", "-m", model, "--max-tokens", "6", "--json", *ways[kind]]
    assert exit_code(asked) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["candidates"]
    if kind == "p-ik":
        assert 0 < run["confidence"]["value"] < 1
        assert not run["confidence"]["calibrated"]


def test_equal_fits_write_equal_files(model, mixed_store, tmp_path, capsys):
    for name in ("a", "b"):
        assert fit(model, mixed_store, "p-ik", "-o", str(tmp_path / f"{name}.safetensors")) == 0
    shown = capsys.readouterr().out
    assert "not calibrated" in " ".join(shown.split())
    assert "use it:" in shown
    same = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("a", "b")]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            ["--probe", "value"],
            "--probe 'value' is neither a number of answers nor a kind of probe",
        ),
        (["--probe", "p-ik", "greedy"], "fitted to a model alone"),
        (["--probe", "p-ik"], "there is no task"),
        (["--probe", "p-ik", "-t", "addition", "-m", "http://127.0.0.1:1/v1#m"], "is a server"),
        (["--probe", "p-ik", "-o", "p.json"], "safetensors"),
    ],
)
def test_wrong_usage_is_refused_before_a_model_is_loaded(more, why, capsys, tmp_path):
    assert exit_code(["tune", *more, "--results", str(tmp_path / "none")]) == 2
    assert why in capsys.readouterr().err


def test_too_few_answers_are_refused(model, tmp_path, capsys):
    assert fit(model, tmp_path / "none", "value-head") == 2
    error = capsys.readouterr().err
    assert "20 are the least" in error
    assert "forethought evaluate 'majority-vote(n=8)'" in error
