"""Typed decisions over HTTP, in both shapes, from a real server of a tiny model."""

from __future__ import annotations

import pytest

from tests.server.served import error_of

TICKET = "I was charged twice for March and want my money back. " * 4
CHOICES = ["Billing", "Technical", "Sales"]
QUESTIONS = [
    {"type": "predicate", "instructions": "Is a refund wanted?", "name": "refund"},
    {
        "type": "choice",
        "instructions": "Which team?",
        "choices": [{"value": one, "description": f"the team {one}"} for one in CHOICES],
    },
    {
        "type": "score",
        "instructions": [{"type": "input_text", "text": "How angry?"}],
        "levels": [{"label": "calm"}, {"label": "cross"}, {"label": "furious"}],
        "name": "anger",
    },
]
NAMED = {
    "refund": {"type": "noul", "instructions": "Is a refund wanted?"},
    "team": {
        "type": "choice",
        "instructions": "Which team?",
        "criteria": {one: f"the team {one}" for one in CHOICES},
    },
    "anger": {
        "type": "score",
        "instructions": "How angry?",
        "criteria": ["calm", "cross", "furious"],
    },
}


def decided(served, **changes):
    body = {"model": "tiny", "input": TICKET, "questions": QUESTIONS, **changes}
    return served.post("/v1/decisions", body)


def systemone(served, **changes):
    body = {"model": "tiny", "state": TICKET, "questions": NAMED, **changes}
    return served.post("/v1/systemone", body)


def test_the_official_client_reads_every_type_of_answer(served):
    with served.client() as client:
        found = client.decisions.create(model="tiny", input=TICKET, questions=QUESTIONS)

    predicate, choice, score = found.answers
    assert (predicate.type, predicate.name) == ("predicate", "refund")
    assert 0 <= predicate.probability <= 1
    assert choice.name is None
    assert [one.value for one in choice.probabilities] == CHOICES
    best = max(choice.probabilities, key=lambda one: one.probability)
    assert choice.choice == best.value
    assert [(one.label, one.value) for one in score.probabilities] == [
        ("calm", 0),
        ("cross", 1),
        ("furious", 2),
    ]
    expected = sum(one.value * one.probability for one in score.probabilities)
    assert score.score == pytest.approx(expected)
    for answer in (choice, score):
        assert sum(one.probability for one in answer.probabilities) == pytest.approx(1, abs=1e-6)
        assert 0 <= answer.confidence <= 1
    assert found.model == "tiny"
    assert found.usage.output_tokens == 0
    assert found.usage.total_tokens == found.usage.input_tokens
    assert found.usage.input_tokens_details.cached_tokens > 2 * len(TICKET) * 0.9


def test_both_shapes_give_the_same_probabilities(served):
    ours = decided(served).json()["answers"]
    theirs = systemone(served).json()["answers"]

    assert list(theirs) == list(NAMED)
    assert theirs["refund"]["noul"] == pytest.approx(ours[0]["probability"], abs=1e-6)
    listed = [one["probability"] for one in ours[1]["probabilities"]]
    assert list(theirs["team"]["probabilities"]) == CHOICES
    assert list(theirs["team"]["probabilities"].values()) == pytest.approx(listed, abs=1e-6)
    assert theirs["anger"]["score"] == pytest.approx(ours[2]["score"], abs=1e-6)
    assert theirs["anger"]["legend"] == {"0": "calm", "1": "cross", "2": "furious"}
    assert 0 <= theirs["anger"]["x_outside"] <= 1


def test_order_and_names_of_questions_change_no_answer(served):
    answers = decided(served).json()["answers"]
    renamed = [{**one, "name": f"other {n}"} for n, one in enumerate(QUESTIONS[::-1])]
    other = decided(served, questions=renamed).json()["answers"][::-1]

    for one, two in zip(answers, other, strict=True):
        assert two.pop("name").startswith("other")
        one.pop("name")
        assert one.keys() == two.keys()
        for key in ("probability", "confidence", "score"):
            assert one.get(key) == pytest.approx(two.get(key), abs=1e-5)


def test_booleans_stay_booleans_and_differ_from_their_texts(served):
    values = [True, "true", False, "false"]
    choice = {"type": "choice", "instructions": "?", "choices": [{"value": v} for v in values]}

    (answer,) = decided(served, questions=[choice]).json()["answers"]

    found = [one["value"] for one in answer["probabilities"]]
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]
    assert type(answer["choice"]) in (bool, str)


def test_more_options_than_letters_are_scored_as_texts(served):
    names = {str(n): None for n in range(255)}
    question = {"type": "choice", "instructions": "Which queue?", "criteria": names}

    (answer,) = systemone(served, questions={"q": question}, state="s").json()["answers"].values()

    assert list(answer["probabilities"]) == list(names)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert answer["choice"] == max(names, key=answer["probabilities"].__getitem__)
    assert "per token" in answer["x_scored"]
    assert "x_outside" not in answer


@pytest.mark.slow
def test_four_hundred_questions_read_the_state_once(served):
    many = [{"type": "predicate", "instructions": f"Is it {n}?"} for n in range(400)]

    found = decided(served, questions=many).json()

    assert len(found["answers"]) == 400
    usage = found["usage"]
    fresh = usage["input_tokens"] - usage["input_tokens_details"]["cached_tokens"]
    assert usage["input_tokens"] > 400 * len(TICKET)
    assert fresh < 0.35 * usage["input_tokens"]


CALL = {"type": "function_call", "call_id": "c1", "name": "lookup", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "found"}
TOOL = {"type": "custom_tool_call", "call_id": "c2", "name": "grep", "input": "x"}
TOOL_OUTPUT = {
    "type": "custom_tool_call_output",
    "call_id": "c2",
    "output": [{"type": "input_text", "text": "y"}],
}


def test_an_input_of_messages_and_calls_is_read(served):
    items = [
        {"role": "system", "content": "Be strict."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hello"},
                {"type": "input_json", "data": {"a": [1, "é"]}},
            ],
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "hi"}], "phase": None},
        *(CALL, OUTPUT, TOOL, TOOL_OUTPUT),
    ]
    with served.client() as client:
        found = client.decisions.create(model="tiny", input=items, questions=QUESTIONS[:1])
    alone = decided(served, input=[{"role": "user", "content": TICKET}]).json()

    assert len(found.answers) == 1
    assert alone["answers"] == decided(served).json()["answers"]


WRONG = {
    "an output without a call": {"input": [OUTPUT]},
    "an output before its call": {"input": [OUTPUT, CALL]},
    "an image": {
        "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]}]
    },
    "JSON of a system message": {
        "input": [{"role": "system", "content": [{"type": "input_json", "data": {}}]}]
    },
    "a phase of a user": {"input": [{"role": "user", "content": "a", "phase": "commentary"}]},
    "a call without arguments": {"input": [{**CALL, "arguments": None}]},
    "much JSON": {
        "input": [
            {"role": "user", "content": [{"type": "input_json", "data": {"a": [0] * 10_000}}]}
        ]
    },
    "no questions": {"questions": []},
    "too many questions": {"questions": QUESTIONS[:1] * 401},
    "a question of no type": {"questions": [{"instructions": "?"}]},
    "a question of another type": {"questions": [{"type": "noul", "instructions": "?"}]},
    "one choice": {
        "questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}]}]
    },
    "equal choices": {
        "questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}] * 2}]
    },
    "256 choices": {
        "questions": [
            {
                "type": "choice",
                "instructions": "?",
                "choices": [{"value": str(n)} for n in range(256)],
            }
        ]
    },
    "a number as a choice": {
        "questions": [
            {"type": "choice", "instructions": "?", "choices": [{"value": 1}, {"value": 2}]}
        ]
    },
    "no instructions": {"questions": [{"type": "predicate"}]},
    "two questions of one name": {"questions": [QUESTIONS[0], QUESTIONS[0]]},
    "a temperature": {"temperature": 1},
    "a stream": {"stream": True},
    "a long identifier": {"safety_identifier": "a" * 129},
    "a method": {"model": "tiny+specpc-shallow(keep=8)"},
    "a search": {"model": "tiny@majority-vote(n=2)"},
    "a state beyond the context": {"input": "word " * 3000},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests_get_an_error_of_openais_shape(served, name):
    assert error_of(decided(served, **WRONG[name]))["message"]


def test_an_unknown_model_is_not_found(served):
    assert error_of(decided(served, model="nobody"), 404)["code"] == "model_not_found"


def test_states_and_texts_may_be_objects_and_lists(served):
    questions = {
        "a": {"type": "noul", "instructions": {"task": "decide"}, "criteria": {"true": ["x"]}},
        "질문 🎯": {"type": "choice", "criteria": {"환불": {"a": 1}, "🙂": ["b"], "c": None}},
        "b": {"type": "score", "criteria": [{"label": "low"}, ["high"]]},
        "c": {"type": "noul", "criteria": None},
    }
    for state in ("text", {"a": [1]}, ["a", {"b": None}], ""):
        reply = systemone(served, state=state, questions=questions, model="jev-latest")
        found = reply.json()
        assert reply.status_code == 200, reply.text
        assert list(found["answers"]) == list(questions)
        assert list(found["answers"]["질문 🎯"]["probabilities"]) == ["환불", "🙂", "c"]
        assert found["answers"]["b"]["legend"] == {"0": {"label": "low"}, "1": ["high"]}
        assert found["usage"]["output_tokens"] == 0
        assert found["model"] == "jev-latest"


UNPROCESSABLE = {
    "no state": {"state": None},
    "no questions": {"questions": {}},
    "a question of no type": {"questions": {"a": {"instructions": "?"}}},
    "a question of another type": {"questions": {"a": {"type": "boolean"}}},
    "no options": {"questions": {"a": {"type": "choice", "criteria": {}}}},
    "levels as a map": {"questions": {"a": {"type": "score", "criteria": {"0": "x", "1": "y"}}}},
    "an empty name": {"questions": {"": {"type": "noul"}}},
    "65 questions": {"questions": {str(n): {"type": "noul"} for n in range(65)}},
    "an unknown field": {"seed": 7},
    "a method": {"model": "tiny@majority-vote(n=2)"},
    "a state beyond the context": {"state": "word " * 3000},
    "an image": {"assets": {"a": {"type": "image", "format": "png", "data_base64": "aa"}}},
}


@pytest.mark.parametrize("name", UNPROCESSABLE)
def test_wrong_system_one_requests_are_unprocessable(served, name):
    reply = systemone(served, **UNPROCESSABLE[name])

    assert reply.status_code == 422, reply.text
    for problem in reply.json()["detail"]:
        assert problem["loc"][0] == "body"
        assert problem["msg"]
        assert problem["type"]


def test_all_problems_of_a_system_one_request_are_listed(served):
    questions = {"a": {"type": "noul", "x": 1}, "b": {"type": "choice", "criteria": {"a": None}}}

    problems = systemone(served, questions=questions).json()["detail"]

    assert {one["loc"][2] for one in problems} == {"a", "b"}


def test_other_errors_of_system_one_say_their_kind(served):
    reply = systemone(served, model="nobody")
    assert reply.status_code == 404
    assert reply.json()["detail"].keys() == {"error_type", "message", "hint"}
    broken = served.post("/v1/systemone", content=b'{"model": ')
    assert broken.status_code == 422
    assert broken.json()["detail"][0]["type"] == "json_invalid"


def test_a_state_beyond_the_context_is_named_in_the_words_of_the_request(served):
    (problem,) = systemone(served, state="word " * 3000).json()["detail"]
    error = error_of(decided(served, input="word " * 3000))

    assert problem["loc"] == ["body", "state"]
    assert problem["type"] == error["code"] == "context_length_exceeded"
    assert problem["msg"].startswith("the state has ")
    assert problem["msg"].endswith("shorten the state")
    assert (error["param"], error["hint"]) == ("input", "shorten the input")
