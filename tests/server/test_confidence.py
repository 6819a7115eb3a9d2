"""Confidence, abstention and calibrated decisions over HTTP, from a real server of a tiny model."""

from __future__ import annotations

import json

import pytest
from openai.types.responses import Response

from forethought.contracts.calibration import Calibration, CalibrationMap
from forethought.recipes.recipe import Recipe
from forethought.storage.calibrations import CALIBRATIONS, add_calibrations
from tests.server.served import MODELS, QUESTION, Served, error_of

SURE = {"confidence_by": ["likelihood", "agreement(n=2)"], "search": "majority-vote(n=2)"}
WITHHELD = {**SURE, "abstain_below": 1.0}


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch):
    """Calibrations of this test alone."""
    file = tmp_path / "calibrations.json"
    monkeypatch.setenv(CALIBRATIONS, str(file))
    return file


def test_a_request_names_its_confidence_methods(served):
    told = served.chat(**SURE).json()["forethought"]["confidence"]
    assert [one["method"] for one in told["estimates"]] == ["likelihood", "agreement(n=2)"]
    assert (told["method"], told["calibrated"]) == ("likelihood", False)


def test_a_plain_answer_may_be_judged(served):
    plain, judged = served.chat().json(), served.chat(confidence_by="likelihood").json()
    assert judged["choices"][0]["message"] == plain["choices"][0]["message"]
    assert 0 < judged["forethought"]["confidence"]["value"] <= 1


def test_a_withheld_answer_is_a_refusal_in_every_api(served):
    reason = "is below 1"
    (chat,) = served.chat(**WITHHELD).json()["choices"]
    assert chat["message"]["content"] is None
    assert reason in chat["message"]["refusal"]
    assert chat["finish_reason"] == "stop"

    body = {"model": "tiny", "prompt": "Which?", "max_tokens": 8, **WITHHELD}
    done = served.post("/v1/completions", body).json()
    assert done["choices"][0]["text"] == ""
    assert reason in done["forethought"]["confidence"]["abstained"]

    asked = {"model": "tiny", "input": "Which?", "max_output_tokens": 8, **WITHHELD}
    found = served.post("/v1/responses", asked).json()
    (part,) = Response.model_validate(found, strict=False).output[0].content
    assert part.type == "refusal"
    assert reason in part.refusal


def test_a_stream_ends_with_the_refusal_and_shows_no_text(served):
    body = {"model": "tiny", "messages": QUESTION, "max_tokens": 8, "stream": True, **WITHHELD}
    lines = served.post("/v1/chat/completions", body).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert not any(delta.get("content") for delta in deltas)
    assert "is below 1" in "".join(delta.get("refusal", "") for delta in deltas)

    asked = {"model": "tiny", "input": "Which?", "max_output_tokens": 8, "stream": True, **WITHHELD}
    text = served.post("/v1/responses", asked).text
    events = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
    assert "response.refusal.delta" in events
    assert "response.refusal.done" in events
    assert "response.output_text.delta" not in events


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"confidence_by": "no-such-scorer"}, "no-such-scorer"),
        ({"confidence_by": "checker"}, "needs a task"),
        ({"confidence_by": "agreement(n=1000)"}, "more than this server allows"),
        ({"confidence_by": "semantic-agreement(encoder=/etc)"}, "encoder"),
        ({"abstain_below": 0.5}, "no confidence is named"),
        ({"abstain_below": 1.5, "confidence_by": "likelihood"}, "abstain_below"),
        ({"confidence_by": "likelihood", "n": 2}, "one answer"),
        ({"confidence_by": "likelihood", "logprobs": True}, "log-probabilities"),
    ],
)
def test_what_cannot_be_done_is_refused(served, fields, part):
    reply = served.chat(**fields)
    assert reply.status_code == 400
    assert part in error_of(reply)["message"]


def test_the_default_confidence_serves_the_default_model_and_can_be_left_out():
    recipe = Recipe(model="tiny", draft="small", confidence=("likelihood",), abstain_below=1.0)
    with Served(MODELS, recipe=recipe) as served:
        assert served.chat().json()["choices"][0]["message"]["refusal"]
        plain = served.chat(confidence_by=[]).json()
        assert plain["choices"][0]["message"]["content"]
        decided = served.post(
            "/v1/decisions", {"model": "tiny", "input": "Yes.", "questions": [PREDICATE]}
        )
        assert decided.status_code == 200


PREDICATE = {"type": "predicate", "instructions": "Is it so?", "name": None}


def test_predicates_use_the_calibration_of_the_models_own_verdicts(served, own_file):
    body = {"model": "tiny", "input": "It is.", "questions": [PREDICATE]}
    (raw,) = served.post("/v1/decisions", body).json()["answers"]
    assert raw["x_calibrated"] is False

    fit = CalibrationMap("isotonic", (0.0, 1.0, 0.3, 0.3))
    for answers, count in (("small", 900), ("tiny@majority-vote(n=4) --temperature=0.8", 80)):
        add_calibrations([Calibration(answers, "self-judge", fit, ("gsm8k",), count)])
    (told,) = served.post("/v1/decisions", body).json()["answers"]
    assert told["probability"] == 0.3
    assert told["x_calibrated"]["by"] == "self-judge"
    assert told["x_calibrated"]["questions"] == 80

    state = {"model": "tiny", "state": "It is.", "questions": {"so": {"type": "noul"}}}
    assert served.post("/v1/systemone", state).json()["answers"]["so"]["noul"] == 0.3

    own_file.write_text("damaged")
    reply = served.post("/v1/decisions", body)
    assert reply.status_code >= 400
    assert "holds no calibrations" in error_of(reply)["message"]


def test_a_request_may_spend_while_answers_pay(served):
    body = {"model": "tiny", "messages": QUESTION, "max_tokens": 4, "stream": True}
    body |= {"stream_events": True, "spend": "auto", "value": "2x"}
    lines = served.post("/v1/chat/completions", body).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    events = [
        one["forethought"]["event"] for one in chunks if "event" in one.get("forethought", {})
    ]
    told = [one["data"] for one in events if one["kind"] == "decision"]
    assert told[-1]["chosen"]["action"] in ("stop", "abstain")
    assert {"belief", "alternatives", "spent"} <= told[0].keys()


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"value": "2x"}, "stakes of spend"),
        ({"spend": "all"}, "spend"),
        ({"spend": "auto", "temperature": 0}, "all equal at temperature 0"),
        ({"spend": "auto", "value": "lots"}, "no value of a right answer"),
        ({"spend": "auto", "search": "greedy"}, "leave one of them out"),
    ],
)
def test_wrong_stakes_are_refused(served, fields, part):
    reply = served.chat(**fields)
    assert reply.status_code == 400
    told = error_of(reply)
    assert part in f"{told['message']} {told['param']}"
