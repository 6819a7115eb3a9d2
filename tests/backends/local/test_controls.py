"""Controls of requests on the local engine: plain answers, samples and searches."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from tokenizers import AddedToken

from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.contracts.records import Prompt
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model
from forethought.prefill import prompt_logprobs
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET
from tests.tiny_model import tiny_model, tiny_tokenizer

MODELS = {"target": TARGET, **DRAFTS}
SCHEMA = {
    "type": "object",
    "properties": {"sure": {"type": "boolean"}, "code": {"enum": ["ab", "cd", "é"]}},
    "required": ["sure", "code"],
    "additionalProperties": False,
}
AS_JSON = GenerationControls(grammar=json.dumps(SCHEMA))
LONG = {"max_tokens": 80}


def live_session(models):
    ticks = itertools.count().__next__
    opener = LocalOpener(lambda name, weights: models[name], Recipe(model="target"), ticks)
    return LiveSession(opener, ticks)


def answered(controls=None, models=MODELS, question=QUESTION, document=DOCUMENT, **more):
    """The events of one request."""
    fields = {k: more.pop(k) for k in ("prompt", "prompt_logprobs", "visible") if k in more}
    recipe = Recipe(**{"model": "target", "max_tokens": 12, **more})
    live = live_session(models)
    controls = controls or GenerationControls()
    live.submit(LiveRequest("r", recipe, question, document, controls=controls, **fields))
    found = []
    while not live.idle:
        found += [event for _, event in live.step()]
    if isinstance(found[-1], Exception):
        raise found[-1]
    return found


def run(*args, **more):
    return answered(*args, **more)[-1].data["run"]


def tokens(events):
    return [one.data for one in events if one.kind == "token" and "token" in one.data]


def check_json(text):
    value = json.loads(text)
    assert list(value) == ["sure", "code"]
    assert isinstance(value["sure"], bool)
    assert value["code"] in SCHEMA["properties"]["code"]["enum"]


def test_default_controls_change_no_event():
    given = {"temperature": 0.9, "samples": 3, "logprobs": 2}

    assert answered(GenerationControls(), **given) == answered(None, **given)


@pytest.mark.parametrize("methods", [(), ("snapkv(keep=120)",), ("specpc-shallow(keep=260)",)])
def test_an_answer_follows_its_schema_under_every_method(methods):
    found = run(AS_JSON, approximate=methods, **LONG)

    assert found["finish"] == "stop"
    check_json(found["answer"])


def test_an_answer_whose_schema_needs_more_tokens_ends_by_length():
    found = run(AS_JSON, max_tokens=9)

    assert found["finish"] == "length"
    assert found["cost"]["output_tokens"] == 9
    assert run(AS_JSON, **LONG)["answer"].startswith(found["answer"])


def test_every_sample_follows_the_schema_from_the_start():
    found = run(AS_JSON, samples=6, temperature=1.0, seed=2, **LONG)

    assert len(found["candidates"]) == 6
    for one in found["candidates"]:
        assert one["finish"] == "stop"
        check_json(one["text"])
    assert len({one["text"] for one in found["candidates"]}) > 1


SEARCHES = [
    {"search": "majority-vote(n=3)"},
    {"search": "beam(n=4, width=2)", "scorer": "likelihood"},
    {"search": "diverse-beam(groups=2, width=2)"},
    {"search": "step-beam(n=4, width=2)", "scorer": "likelihood"},
]


@pytest.mark.parametrize("search", SEARCHES, ids=[one["search"] for one in SEARCHES])
def test_searches_keep_to_the_schema(search):
    found = run(AS_JSON, temperature=1.0, **LONG, **search)

    assert found["finish"] == "stop"
    check_json(found["answer"])
    for one in found["candidates"]:
        if one["finish"] == "stop" and not one.get("question"):
            check_json(one["text"])


def test_an_answer_in_pieces_of_a_budget_is_the_whole_answer():
    given = {"temperature": 1.0, "seed": 4, "search": "majority-vote(n=2)", **LONG}
    controls = GenerationControls(grammar=json.dumps(SCHEMA), frequency_penalty=0.5)

    assert run(controls, **given)["answer"] == run(controls, budget="5000tok", **given)["answer"]


@pytest.mark.parametrize("grammar", ["{", '{"type": "nonsense"}'])
def test_a_bad_schema_fails_before_any_prefill(grammar):
    live = live_session(MODELS)
    request = LiveRequest(
        "r",
        Recipe(model="target"),
        QUESTION,
        DOCUMENT,
        controls=GenerationControls(grammar=grammar),
    )
    live.submit(request)

    ((_, error),) = live.step()

    assert isinstance(error, BadParameterError)
    assert live.idle


def test_a_token_that_the_model_lacks_is_refused():
    with pytest.raises(BadParameterError, match="vocabulary"):
        answered(GenerationControls(logit_bias={10_000: 1.0}))


def test_a_draft_with_other_tokens_takes_no_token_ids():
    with pytest.raises(UsageError, match="name tokens of target"):
        cascade(GenerationControls(logit_bias={5: 1.0}))


def test_a_draft_that_answers_follows_the_schema_in_its_own_tokens():
    found = cascade(AS_JSON)

    assert {one["writer"] for one in found["candidates"]} == {"draft", "target"}
    for one in found["candidates"]:
        check_json(one["text"])


def cascade(controls):
    """A run whose draft has other tokens than the target, and answers first."""
    return run(controls, draft="other-tokens", search="cascade(sure=2)", **LONG)


def test_penalties_reach_every_sample():
    given = {"samples": 3, "temperature": 0.7, "seed": 1, "max_tokens": 40}
    free = run(**given)["candidates"]
    fresh = run(GenerationControls(presence_penalty=2.0, frequency_penalty=2.0), **given)

    for one, other in zip(free, fresh["candidates"], strict=True):
        assert len(set(other["text"])) > len(set(one["text"]))


def test_a_stop_string_counts_only_after_the_minimum_length():
    plain = run(max_tokens=40)["answer"]
    stop = plain[3:5]
    controls = GenerationControls(min_tokens=20)

    assert run(max_tokens=40, stop=(stop,))["answer"] == plain[: plain.index(stop)]
    held = run(controls, max_tokens=40, stop=(stop,))
    assert held["cost"]["output_tokens"] >= 20
    late = plain.find(stop, len(TARGET.tokenizer.decode(TARGET.tokenizer.encode(plain)[:20])))
    assert held["answer"] == (plain if late < 0 else plain[:late])


def test_end_tokens_can_be_ignored_and_added():
    (end,) = TARGET.tokenizer.ends
    wished = {end: 30.0}

    assert run(GenerationControls(logit_bias=wished))["finish"] == "stop"
    ignoring = GenerationControls(logit_bias=wished, ignore_end=True)
    assert run(ignoring)["cost"]["output_tokens"] == 12
    first = tokens(answered())[0]["token"]
    stopped = run(GenerationControls(stop_token_ids=(first,)))
    assert (stopped["answer"], stopped["finish"]) == ("", "stop")


def test_log_probabilities_and_alternatives_are_told_for_every_sample():
    given = {"samples": 3, "temperature": 1.0, "seed": 3, "logprobs": 20}
    events = tokens(answered(GenerationControls(frequency_penalty=1.0), **given))

    for number in range(3):
        mine = [one for one in events if one["candidate"] == number]
        assert len(mine) == 12
        for one in mine:
            assert len(one["top"]) == 20
            chances = {other["token"]: other["log_probability"] for other in one["top"]}
            assert one["log_probability"] <= max(chances.values()) + 1e-6
            if one["token"] in chances:
                assert one["log_probability"] == pytest.approx(chances[one["token"]], abs=1e-6)


# --- models that think


def thinking_model(opened: bool) -> Model:
    tokenizer = tiny_tokenizer()
    tokenizer._inner.add_tokens([AddedToken("<think>"), AddedToken("</think>")])
    model = tiny_model("target", seed=1, vocab_size=tokenizer.vocabulary_size)
    opening = "<think>\n" if opened else "{# <think> </think> #}"
    return Model("target", model.folder, model.network, tokenizer, f"{model.template}{opening}")


THINKS = {"target": thinking_model(opened=True)}
MAY_THINK = {"target": thinking_model(opened=False)}


@pytest.mark.parametrize("budget", [0, 1, 7])
def test_reasoning_ends_at_its_budget(budget):
    free = answered(models=THINKS, max_tokens=40)
    controls = GenerationControls(thinking_budget=budget)

    found = answered(controls, models=THINKS, max_tokens=40)

    plain, cut = tokens(free), tokens(found)
    assert [one["token"] for one in cut[:budget]] == [one["token"] for one in plain[:budget]]
    text = "".join(one["text"] for one in cut)
    before, _, after = text.partition("\n</think>\n\n")
    assert after
    decode = THINKS["target"].tokenizer.decode
    assert before == decode([one["token"] for one in plain[:budget]])
    assert [one.get("reasoning", False) for one in cut] == [
        n < budget + len(THINKS["target"].tokenizer.encode("\n</think>\n\n")) for n in range(40)
    ]


def test_no_budget_changes_no_token_of_a_model_that_thinks():
    plain = [one["token"] for one in tokens(answered(models=THINKS, max_tokens=40))]
    controls = GenerationControls(thinking_budget=1000)
    roomy = tokens(answered(controls, models=THINKS, max_tokens=2000 - 1600))

    assert [one["token"] for one in roomy[:40]] == plain


def test_a_budget_leaves_room_for_the_answer():
    controls = GenerationControls(thinking_budget=1000)

    found = tokens(answered(controls, models=THINKS, max_tokens=40))

    assert len(found) == 40
    assert sum(not one.get("reasoning", False) for one in found) >= 10


def test_reasoning_that_the_model_opens_itself_counts():
    opening = MAY_THINK["target"].tokenizer.token_of("<think>")
    first = GenerationControls(thinking_budget=3, logit_bias={opening: 1000 / 12})

    found = run(first, models=MAY_THINK, samples=2, temperature=0.5, max_tokens=40)

    for one in found["candidates"]:
        assert one["text"].startswith("<think>")
        assert "\n</think>\n\n" in one["text"]
        assert one["reasoning_tokens"] >= 1 + 3 + 1


@pytest.mark.parametrize("models", [THINKS, MAY_THINK])
def test_a_schema_holds_for_the_answer_after_the_reasoning(models):
    controls = GenerationControls(grammar=json.dumps(SCHEMA), thinking_budget=5)

    found = run(controls, models=models, **LONG)

    assert found["finish"] == "stop"
    check_json(found["answer"].rpartition("</think>")[2])


# --- log-probabilities of the prompt


def teacher_forced(model, ids, dtype=torch.float64):
    """The law after each token, from one pass over all of them."""
    laws = []
    for stop in range(1, len(ids)):
        batch = Batch(model.network, Meter(lambda: 0.0))
        logits = batch.prefill(SequenceCache(len(model.shape.layers)), ids[:stop])
        laws.append(torch.log_softmax(logits.double(), 0))
    return laws


def short_prompt():
    return chat_prompt(TARGET.tokenizer, TARGET.template, "Where is locker 4? é")


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
@pytest.mark.parametrize("top", [0, 3])
def test_prompt_tokens_have_the_log_probabilities_of_teacher_forcing(block, top, monkeypatch):
    monkeypatch.setattr(prompt_logprobs, "_LEAST_BLOCK", 1)
    monkeypatch.setattr(prompt_logprobs, "LOGITS_BYTES", 4 * TARGET.shape.vocabulary * block)
    prompt = short_prompt()

    events = answered(prompt=prompt, prompt_logprobs=top)
    (told,) = [one.data for one in events if one.kind == "prompt"]

    assert told["tokens"] == list(prompt.tokens)
    assert told["log_probabilities"][0] is None
    assert told["top"][0] == []
    laws = teacher_forced(TARGET, prompt.tokens)
    for place, law in enumerate(laws, 1):
        expected = float(law[prompt.tokens[place]])
        assert told["log_probabilities"][place] == pytest.approx(expected, abs=1e-4)
        best = [one["token"] for one in told["top"][place]]
        assert best == law.topk(top).indices.tolist()
    assert json.loads(json.dumps(told)) == told


def test_scoring_the_prompt_changes_no_token_of_the_answer():
    plain, scored = answered(samples=2), answered(samples=2, prompt_logprobs=1)

    for one, other in zip(tokens(plain), tokens(scored), strict=True):
        assert one["token"] == other["token"]
        assert one["log_probability"] == pytest.approx(other["log_probability"], abs=1e-5)
    assert (
        plain[-1].data["run"]["cost"]["prompt_tokens"]
        == (scored[-1].data["run"]["cost"]["prompt_tokens"])
    )


def test_a_request_may_only_score():
    prompt = short_prompt()
    controls = GenerationControls(score_only=True)

    events = answered(controls, prompt=prompt, prompt_logprobs=2, max_tokens=1)

    assert [one.kind for one in events if one.kind != "stage"] == ["prompt", "done"]
    done = events[-1].data["run"]
    assert (done["answer"], done["finish"]) == ("", "length")
    assert done["cost"]["output_tokens"] == 0
    assert done["cost"]["prompt_tokens"] == len(prompt)


def test_scoring_holds_the_logits_of_a_block_at_once(monkeypatch):
    monkeypatch.setattr(prompt_logprobs, "LOGITS_BYTES", 1)
    rows = []
    network = TARGET.network
    forward = type(network).forward

    def counted(self, *args, **named):
        found = forward(self, *args, **named)
        rows.append(len(found))
        return found

    monkeypatch.setattr(type(network), "forward", counted)
    answered(GenerationControls(score_only=True), prompt_logprobs=0)

    assert max(rows) == 32
    assert len(rows) > 5


@pytest.mark.parametrize(
    "given", [{"approximate": ("specpc-shallow(keep=260)",)}, {"search": "majority-vote(n=2)"}]
)
def test_only_exact_plain_recipes_score_the_prompt(given):
    with pytest.raises(UsageError, match="log-probabilities of the prompt"):
        answered(prompt_logprobs=0, **given)


def test_a_prompt_of_one_token_has_no_log_probability():
    prompt = Prompt((5,), ((0, 1),), "a")

    events = answered(prompt=prompt, prompt_logprobs=2)

    (told,) = [one.data for one in events if one.kind == "prompt"]
    assert told == {"tokens": [5], "log_probabilities": [None], "top": [[]]}


def test_control_tokens_that_are_visible_are_in_the_text():
    (end,) = TARGET.tokenizer.ends
    controls = GenerationControls(logit_bias={end: 30.0}, ignore_end=True)

    assert run(controls, max_tokens=2)["answer"] == ""
    assert run(controls, max_tokens=2, visible=frozenset({end}))["answer"] == "</s></s>"
