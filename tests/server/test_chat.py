"""Chat completions: the wire shapes, and answers that equal the engine's own."""

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session, built_methods
from tests.server.served import MODELS, QUESTION, data_lines, error_of, serving

TEXT = QUESTION[0]["content"]


def own_run(question=TEXT, document="", system=None, **settings):
    """The engine's own run of the same question, without a server."""
    recipe = Recipe(**{"model": "tiny", "max_tokens": 8, **settings})
    draft = MODELS[recipe.draft] if recipe.draft != "self" else MODELS["tiny"]
    session = Session(recipe, built_methods(recipe), MODELS["tiny"], draft)
    *_, done = session.stream(question, document, system=system)
    return done.data["run"]


def test_a_greedy_answer_is_that_of_the_engine_alone(served):
    found = served.chat().json()

    run = own_run()
    (choice,) = found["choices"]
    assert choice["message"]["content"] == run["answer"]
    assert choice["finish_reason"] == run["finish"]
    assert found["usage"]["completion_tokens"] == run["cost"]["output_tokens"]
    assert found["usage"]["prompt_tokens"] == run["kept"]["of"]


def test_the_official_client_reads_every_field(served):
    fields = {"n": 2, "seed": 1, "ignore_eos": True, "logprobs": True, "top_logprobs": 3}
    raw = served.chat(temperature=1.0, **fields).json()

    read = ChatCompletion.model_validate(raw, strict=True)

    assert [choice.index for choice in read.choices] == [0, 1]
    assert read.object == "chat.completion"
    assert read.id.startswith("chatcmpl-")
    for choice in read.choices:
        assert choice.message.role == "assistant"
        assert len(choice.logprobs.content) == 8
        for entry in choice.logprobs.content:
            assert len(entry.top_logprobs) == 3
            best = max(one.logprob for one in entry.top_logprobs)
            assert entry.logprob <= best <= 0
    assert read.usage.total_tokens == read.usage.prompt_tokens + 16
    assert read.usage.completion_tokens_details.accepted_prediction_tokens == 0


def test_greedy_tokens_are_the_most_probable_ones(served):
    (choice,) = served.chat(logprobs=True, top_logprobs=1).json()["choices"]

    for entry in choice["logprobs"]["content"]:
        (top,) = entry["top_logprobs"]
        assert (top["token"], top["logprob"]) == (entry["token"], entry["logprob"])


def test_the_bytes_of_the_tokens_are_those_of_the_answer(served):
    (choice,) = served.chat(logprobs=True, max_tokens=40).json()["choices"]

    joined = bytes(byte for entry in choice["logprobs"]["content"] for byte in entry["bytes"])
    assert joined.decode("utf-8", "replace").rstrip("\ufffd") == choice["message"][
        "content"
    ].rstrip("\ufffd")


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_tells_what_the_whole_answer_tells(served, n, include_usage):
    fields = {"n": n, "seed": 5, "temperature": 1.2, "max_tokens": 12, "logprobs": True}
    whole = served.chat(**fields).json()
    options = {"stream_options": {"include_usage": include_usage}}

    chunks = data_lines(served.chat(stream=True, **options, **fields).text)

    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    last = chunks.pop() if include_usage else chunks[-1]
    assert ("usage" in chunks[0]) == include_usage
    if include_usage:
        assert last["choices"] == []
        assert last["usage"] == whole["usage"]
        assert all(chunk["usage"] is None for chunk in chunks)
    assert last["forethought"]["recipe"] == whole["forethought"]["recipe"]
    for index, choice in enumerate(whole["choices"]):
        told = [one for chunk in chunks for one in chunk["choices"] if one["index"] == index]
        assert told[0]["delta"] == {"role": "assistant", "content": ""}
        assert (
            "".join(one["delta"].get("content", "") for one in told)
            == (choice["message"]["content"])
        )
        entries = [e for one in told if one["logprobs"] for e in one["logprobs"]["content"]]
        assert entries == choice["logprobs"]["content"]
        reasons = [one["finish_reason"] for one in told]
        assert reasons == [None] * (len(told) - 1) + [choice["finish_reason"]]
        assert told[-1]["delta"] == {}


def test_the_official_client_streams(served):
    with served.client().chat.completions.create(
        model="tiny", messages=QUESTION, max_tokens=6, temperature=0, stream=True
    ) as stream:
        text = "".join(one.choices[0].delta.content or "" for one in stream)

    assert text == own_run(max_tokens=6)["answer"]


def test_a_seed_repeats_an_answer_and_no_seed_does_not(served):
    def drawn(**seed):
        found = served.chat(temperature=2.0, max_tokens=20, **seed).json()
        return found["choices"][0]["message"]["content"], found["forethought"]["seed"]

    assert drawn(seed=3) == drawn(seed=3)
    assert drawn(seed=3) != drawn(seed=4)
    assert len({drawn()[1] for _ in range(3)}) == 3
    text, seed = drawn()
    assert drawn(seed=seed)[0] == text
    assert drawn(seed=-1) == drawn(seed=-1)


def test_the_default_temperature_is_one(served):
    body = {"model": "tiny", "messages": QUESTION, "max_tokens": 8, "seed": 9}

    found = served.post("/v1/chat/completions", body).json()

    assert found["choices"][0]["message"]["content"] == own_run(temperature=1.0, seed=9)["answer"]


def test_a_stop_string_ends_the_answer_before_it(served):
    text = served.chat(max_tokens=30).json()["choices"][0]["message"]["content"]
    stop = next(letter for letter in text[3:] if letter.isascii() and letter not in text[:3])

    for given in (stop, [stop], ["never", stop]):
        (choice,) = served.chat(max_tokens=30, stop=given).json()["choices"]
        assert choice["message"]["content"] == text.partition(stop)[0]
        assert choice["finish_reason"] == "stop"
    (choice,) = served.chat(max_tokens=30, stop=stop, include_stop_str_in_output=True).json()[
        "choices"
    ]
    assert choice["message"]["content"] == text.partition(stop)[0] + stop


def test_an_answer_without_a_maximum_fills_the_context(served):
    body = {"model": "tiny", "messages": QUESTION, "temperature": 1.0, "seed": 1}

    found = served.post("/v1/chat/completions", body).json()

    (choice,) = found["choices"]
    total = found["usage"]["total_tokens"]
    assert choice["finish_reason"] == "stop" or total == MODELS["tiny"].shape.context


def test_max_completion_tokens_wins(served):
    found = served.chat(max_tokens=9, max_completion_tokens=3).json()

    assert found["usage"]["completion_tokens"] == 3


def test_system_messages_and_turns_change_the_prompt_as_the_template_says(served):
    system = [{"role": "system", "content": "Be brief."}, *QUESTION]
    found = served.chat(messages=system).json()
    assert found["choices"][0]["message"]["content"] == own_run(system="Be brief.")["answer"]

    turns = [*QUESTION, {"role": "assistant", "content": "27"}, *QUESTION]
    parts = [{"type": "text", "text": TEXT}]
    split = [*QUESTION, {"role": "assistant", "content": "27"}, {"role": "user", "content": parts}]
    one, other = (served.chat(messages=given).json() for given in (turns, split))
    assert one["choices"] == other["choices"]
    length = one["usage"]["prompt_tokens"]
    told = served.post("/tokenize", {"messages": turns}).json()
    assert told["count"] == length > found["usage"]["prompt_tokens"]


def test_a_document_is_put_before_the_question_and_may_be_shortened(served):
    document = "The code of locker 4 is 27. " * 12
    exact = served.chat(document=document).json()
    short = served.chat(document=document, approximate="specpc-shallow(keep=120)").json()

    assert exact["choices"][0]["message"]["content"] == own_run(document=document)["answer"]
    settings = {"approximate": ("specpc-shallow(keep=120)",), "draft": "small"}
    run = own_run(document=document, **settings)
    assert short["choices"][0]["message"]["content"] == run["answer"]
    assert short["usage"]["prompt_tokens"] == exact["usage"]["prompt_tokens"]
    assert short["usage"]["prompt_tokens_details"]["kept_tokens"] == 120
    assert short["usage"]["prompt_tokens_details"]["draft_tokens"] == run["cost"]["draft_tokens"]
    assert short["forethought"]["recipe"] == "tiny+draft(small)+specpc-shallow(keep=120)"


def test_a_search_in_the_models_name_equals_the_engines_own(served):
    model = "tiny@majority-vote(n=3)"
    found = served.chat(model=model, seed=2, temperature=0.9).json()

    run = own_run(search="majority-vote(n=3)", seed=2, temperature=0.9)
    assert found["model"] == model
    assert found["choices"][0]["message"]["content"] == run["answer"]
    assert found["usage"]["completion_tokens"] == run["cost"]["output_tokens"]
    assert found["forethought"]["confidence"] == run["confidence"]


def test_a_search_is_warm_by_default(served):
    body = {"model": "tiny@majority-vote(n=3)", "messages": QUESTION, "max_tokens": 8, "seed": 2}

    found = served.post("/v1/chat/completions", body).json()

    run = own_run(search="majority-vote(n=3)", seed=2, temperature=0.7)
    assert found["choices"][0]["message"]["content"] == run["answer"]


def test_a_streamed_search_shows_its_answer_at_the_end_and_its_events_if_asked(served):
    fields = {"model": "tiny@majority-vote(n=3)", "seed": 2, "temperature": 0.9, "stream": True}
    plain = data_lines(served.chat(**fields).text)
    told = data_lines(served.chat(stream_events=True, **fields).text)

    events = [one["forethought"]["event"] for one in told if not one["choices"]]
    assert [one["kind"] for one in events] == ["candidate"] * 3 + ["done"]
    assert (
        served.get(f"/v1/runs/{told[0]['id']}").json()["answer"]
        == (events[-1]["data"]["run"]["answer"])
    )
    shown = [one for one in told if one["choices"]]
    deltas = [[one["choices"][0]["delta"] for one in chunks] for chunks in (plain, shown)]
    assert deltas[0] == deltas[1]
    first, answer, last = deltas[0]
    run = own_run(search="majority-vote(n=3)", seed=2, temperature=0.9)
    assert (first["role"], answer, last) == ("assistant", {"content": run["answer"]}, {})


def test_a_spent_budget_ends_an_answer_as_a_length_does(served):
    found = served.chat(budget="3tok", max_tokens=20).json()

    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"]["completion_tokens"] == 3
    assert found["forethought"]["finish"] == "budget"


def test_a_predicted_answer_is_drafted_and_changes_no_token(served):
    given = {"max_tokens": 20, "structured_outputs": {"regex": "[a-z]{20}"}}
    plain = served.chat(**given).json()
    text = plain["choices"][0]["message"]["content"]
    parts = [{"type": "text", "text": text[:5]}, {"type": "text", "text": text[5:]}]

    for content in (text, parts, "SOMETHING ELSE"):
        prediction = {"type": "content", "content": content}
        found = served.chat(prediction=prediction, **given).json()

        assert found["choices"] == plain["choices"]
        details = found["usage"]["completion_tokens_details"]
        accepted = details["accepted_prediction_tokens"]
        assert (accepted > 0) == (content != "SOMETHING ELSE")
        cost = found["forethought"]["cost"]
        assert accepted == cost["accepted_tokens"]
        assert details["rejected_prediction_tokens"] == cost["verified_tokens"] - accepted
    assert plain["usage"]["completion_tokens_details"]["accepted_prediction_tokens"] == 0


HARMLESS = {
    "user": "me",
    "metadata": {"a": "b"},
    "store": False,
    "service_tier": "auto",
    "parallel_tool_calls": True,
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "modalities": ["text"],
    "reasoning_effort": "low",
    "frequency_penalty": None,
    "functions": None,
    "tools": None,
    "logit_bias": {},
    "stop": [],
    "response_format": {"type": "text"},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_fields_without_an_effect_change_no_token(served, name):
    found = served.chat(**{name: HARMLESS[name]}).json()

    assert found["choices"] == served.chat().json()["choices"]


WRONG = {
    "temperatur": ({"temperatur": 1}, "did you mean temperature?"),
    "functions": ({"functions": []}, "use tools"),
    "store": ({"store": True}, "leave it out, and send the whole conversation each time"),
    "approximate": ({"approximate": "snapkv(keep=0)"}, None),
    "budget": ({"budget": "5"}, "write it like 500tok, 2s, 1TFLOP or $0.01, joined by commas"),
    "scorer": ({"scorer": "nothing"}, None),
    "search": ({"search": "best-of-n"}, None),
    "confidence": ({"search": "beam@likelihood", "confidence": 0.5}, None),
    "structured_outputs": ({"structured_outputs": {"regex": "("}}, None),
    "response_format": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}},
        "simplify the grammar, or send none",
    ),
    "temperature": ({"temperature": 3}, None),
    "top_p": ({"top_p": "0.5"}, None),
    "n": ({"n": 0}, None),
    "seed": ({"seed": 1 << 70}, None),
    "top_logprobs": ({"logprobs": True, "top_logprobs": 21}, None),
    "stop": ({"stop": ["x"] * 17}, None),
    "messages": ({"messages": []}, None),
    "messages.0.role": ({"messages": [{"role": "robot", "content": "x"}]}, None),
    "messages.0.content.0.type": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        None,
    ),
    "messages.0": ({"messages": [{"role": "user"}]}, None),
    "max_tokens": ({"max_tokens": 0}, None),
    "tool_choice": ({"tool_choice": "required"}, "give tools"),
    "stream_options": ({"stream_options": {"include_usage": True}}, "set stream to true"),
}


@pytest.mark.parametrize("param", WRONG)
def test_a_wrong_field_is_named(served, param):
    fields, hint = WRONG[param]

    error = error_of(served.chat(**fields))

    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    if hint is not None:
        assert error["hint"] == hint
        assert hint in error["message"]


def test_log_probabilities_of_a_search_are_refused_with_the_reason(served):
    error = error_of(served.chat(model="tiny@majority-vote(n=2)", logprobs=True))

    assert (error["param"], "chooses its answer at the end" in error["message"]) == (
        "logprobs",
        True,
    )


def test_a_prompt_beyond_the_context_has_openais_code(served):
    long = [{"role": "user", "content": "x" * 3000}]

    for stream in (False, True):
        error = error_of(served.chat(messages=long, stream=stream))
        assert error["code"] == "context_length_exceeded"


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenized(served, monkeypatch):
    read = []
    tokenizer = MODELS["tiny"].tokenizer
    monkeypatch.setattr(tokenizer, "encode_with_spans", lambda *given: read.append(given))
    most = 2048 * tokenizer.longest
    reply = served.chat(messages=[{"role": "user", "content": "a" * (most + 1)}])
    assert reply.json()["error"]["code"] == "context_length_exceeded"
    assert not read


def test_a_default_recipe_runs_exactly_where_a_prompt_is_too_short_for_it():
    recipe = Recipe(model="tiny", approximate=("specpc-shallow(keep=5)",))
    with serving(recipe=recipe) as lenient:
        short = [{"role": "user", "content": "hi"}]
        found = lenient.chat(model=None, messages=short, max_tokens=4).json()
        assert any("the run is exact" in note for note in found["forethought"]["notes"])
        exact = lenient.chat(messages=short, max_tokens=4, approximate="exact").json()
        assert found["choices"] == exact["choices"]
        asked = lenient.chat(messages=short, max_tokens=4, approximate="specpc-shallow(keep=5)")
        assert asked.status_code == 400
