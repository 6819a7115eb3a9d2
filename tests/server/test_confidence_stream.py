"""The running belief about confidences: level, share, alarm, and where a server shows them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from forethought.beliefs.stream import DiscountedRate
from forethought.server.confidence_stream import (
    FIRST,
    ConfidenceStream,
    ConfidenceStreams,
    usual_level,
)

PREDICATE = {"type": "predicate", "instructions": "Is it so?", "name": None}


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.3),
        ([0.5, 0.5, 0.5, 1.0], 1.0),
        ([0.5, 1.0, 1.0, 1.0], 1.0),
        ([0.7, 0.7, 0.7], 0.7),
        ([0.1, 0.2, 0.2, 0.2, 0.9], 0.9),
    ],
)
def test_at_most_half_of_the_first_answers_reach_the_usual_level(values, level) -> None:
    assert usual_level(values) == level


def followed(values) -> ConfidenceStream:
    stream = ConfidenceStream()
    for one in values:
        stream.add(float(one))
    return stream


def test_the_share_is_the_discounted_belief_and_the_mean_fades() -> None:
    values = np.random.default_rng(0).random(120)

    found = followed(values).document()

    level = sorted(values[:FIRST])[FIRST // 2]
    belief = DiscountedRate().condition(bool(one >= level) for one in values)
    assert found["usual"] == level
    assert found["share"] == pytest.approx(belief.mean[0])
    assert [found["low"], found["high"]] == pytest.approx(belief.interval()[0].tolist())
    mean = 0.0
    for place, one in enumerate(values, 1):
        mean += (one - mean) / min(place, 100)
    assert found["mean"] == pytest.approx(mean)
    assert followed(values[: FIRST - 1]).document()["share"] is None


def test_the_alarm_follows_a_fall_and_not_chance() -> None:
    """At most one of 20 still streams raises it: a change is expected in 5,000 answers."""
    false = 0
    for seed in range(20):
        rng, stream = np.random.default_rng(seed), ConfidenceStream()
        for value in rng.beta(8, 3, 400):
            stream.add(value)
            if stream.alarm.raised:
                false += 1
                break
    rng, stream = np.random.default_rng(3), followed(np.random.default_rng(4).beta(8, 3, 200))
    before = stream.alarm.raised
    late = next(n for n in range(60) if (stream.add(rng.beta(3, 6)), stream.alarm.raised)[1])

    assert false <= 1
    assert not before
    assert late < 40


def test_an_alarm_is_logged_once_and_streams_are_bounded(caplog) -> None:
    streams = ConfidenceStreams()
    with caplog.at_level(logging.WARNING, "forethought.server"):
        for value in [*np.random.default_rng(0).random(200), *[0.0] * 80]:
            streams.note("tiny", "agreement(n=4)", value)
    for number in range(100):
        streams.note(f"m{number}", "likelihood", 0.5)

    assert [
        "the confidence of tiny by agreement has changed" in one for one in caplog.messages
    ] == [True]
    assert streams.of("tiny")["agreement"]["alarms"] == 1
    assert len(streams.of("m0")) == 1
    assert streams.of("m99") == {}


def test_a_server_shows_the_confidence_of_answers_and_decisions(served) -> None:
    served.chat(confidence_by="likelihood")
    asked = {"model": "tiny", "input": "It is.", "questions": [PREDICATE]}
    (answer,) = served.post("/v1/decisions", asked).json()["answers"]
    told = served.get("/v1/models/tiny").json()["confidence"]
    metrics = served.get("/metrics").text

    assert told["likelihood"]["answers"] >= 1
    assert 0 < told["likelihood"]["mean"] <= 1
    assert told["decisions"]["answers"] >= 1
    assert 0 <= told["decisions"]["mean"] <= 1
    assert served.get("/v1/models/small").json()["confidence"] == {}
    labels = '{engine="0",method="decisions",model_name="tiny"}'
    assert f"forethought:confidence{labels}" in metrics
    assert f"forethought:confidence_alarms_total{labels} 0.0" in metrics
    assert "probability" in answer
