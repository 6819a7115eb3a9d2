"""Typed decisions: their probabilities are those of the model, whatever is asked beside them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.backends.local.verdicts import verdict_prompt
from forethought.contracts.errors import BadParameterError, ForethoughtError, PromptTooLongError
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens
from forethought.models.tokenization.tokenizer import Tokenizer
from forethought.recipes.recipe import Recipe
from forethought.sessions.decisions import (
    DecisionAnswer,
    DecisionOption,
    DecisionQuestion,
    DecisionTemperatures,
    decide,
    decision_answers,
    decision_prompt,
)
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.models.tiny_tokenizers import byte_level
from tests.tiny_model import tiny_model

MODEL = tiny_model("tiny", seed=3)
STATE = "The printer on floor two has been out of paper since Monday. " * 6


def options(*texts: str, description: str = "") -> tuple[DecisionOption, ...]:
    return tuple(DecisionOption(text, description) for text in texts)


PREDICATE = DecisionQuestion("predicate", "Is it urgent?")
DESCRIBED = DecisionQuestion("predicate", "", options("Yes", "No", description="so it is"))
CHOICE = DecisionQuestion("choice", "Which team?", options("Paper", "Ink", "Power"))
TWO = DecisionQuestion("choice", "Which floor?", options("One", "Two"))
SCORE = DecisionQuestion("score", "How bad?", options("fine", "annoying", "bad", "terrible"))
MANY = DecisionQuestion("choice", "Which room?", options(*(f"Room {n}" for n in range(40))))
QUESTIONS = [PREDICATE, CHOICE, SCORE, MANY, TWO, DESCRIBED]


def asked(questions, state=STATE, model=MODEL, temperatures=None, known=None):
    """The answers to questions, and the run's document."""
    recipe = Recipe(model="tiny", draft="self")
    session = LiveSession(LocalOpener(lambda name, weights: model, recipe))
    search = decide(model, state, questions)
    tokenized = search.tokenized if known is None else known
    live = LiveRequest("one", recipe, strategy=search, verdict_prompts=tokenized)
    session.submit(live)
    events = []
    while not session.idle:
        events += session.step()
    last = events[-1][1]
    if isinstance(last, ForethoughtError):
        raise last
    run = last.data["run"]
    used = temperatures or DecisionTemperatures()
    return decision_answers(run["answer"], search, questions, used), run


def logits_after(question, state=STATE):
    """[V] after a question's prompt, by a prefill of that prompt alone."""
    prompt = decision_prompt(MODEL, state, question)
    cache, meter = SequenceCache(len(MODEL.shape.layers)), Meter(lambda: 0.0)
    tokens = verdict_prompt(MODEL, prompt.text)
    return Batch(MODEL.network, meter).prefill(cache, tokens).double(), tokens


@pytest.mark.parametrize("question", [CHOICE, SCORE, TWO])
def test_probabilities_are_those_of_the_letters_after_the_prompt(question):
    logits, _ = logits_after(question)
    letters = [MODEL.tokenizer.encode(one)[0] for one in "ABCDEFGH"[: len(question.options)]]

    (answer,), _ = asked([question])

    expected = torch.softmax(logits[letters], 0).tolist()
    assert answer.probabilities == pytest.approx(expected, abs=1e-6)
    inside = float(torch.softmax(logits, 0)[letters].sum())
    assert answer.outside == pytest.approx(1 - inside, abs=1e-6)


def test_texts_are_scored_by_their_mean_log_probability():
    prompt = decision_prompt(MODEL, STATE, MANY)
    _, tokens = logits_after(MANY)
    means = []
    for one in MANY.options:
        text = [*MODEL.tokenizer.encode(one.text), MODEL.tokenizer.end]
        cache, meter = SequenceCache(len(MODEL.shape.layers)), Meter(lambda: 0.0)
        part = [*tokens, *text[:-1]]
        batch = Batch(MODEL.network, meter)
        rows = batch.forward([NewTokens(cache, part)], phase="prefill", every=True).double()
        chances = torch.log_softmax(rows[len(tokens) - 1 :], 1)
        means.append(sum(float(row[token]) for row, token in zip(chances, text, strict=True)))
        means[-1] /= len(text)

    (answer,), _ = asked([MANY])

    assert prompt.rule == "text"
    assert answer.outside is None
    expected = torch.softmax(torch.tensor(means, dtype=torch.float64), 0).tolist()
    assert answer.probabilities == pytest.approx(expected, abs=1e-6)


def test_answers_do_not_depend_on_the_other_questions():
    together, _ = asked(QUESTIONS)
    backwards, _ = asked(QUESTIONS[::-1])

    for question, one, other in zip(QUESTIONS, together, backwards[::-1], strict=True):
        (alone,), _ = asked([question])
        for found in (one, other):
            assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
        assert sum(one.probabilities) == pytest.approx(1, abs=1e-9)


def test_the_state_is_prefilled_once():
    many = [DecisionQuestion("choice", f"Is it {n}?", options("a", "b")) for n in range(30)]

    _, run = asked(many)
    _, first = asked(many[:1])

    search = decide(MODEL, STATE, many)
    length, prefix = len(verdict_prompt(MODEL, search.prompts[0].text)), len(STATE)
    assert run["cost"]["scoring_tokens"] <= length + 29 * (length - prefix + 2)
    assert first["cost"]["scoring_tokens"] == length
    assert search.length(MODEL.tokenizer) >= 30 * (length - 1)
    assert run["cost"]["output_tokens"] == run["cost"]["prompt_tokens"] == 0


def test_prompts_are_tokenized_before_they_reach_the_engine():
    (choice, other), _ = asked([CHOICE, TWO])
    prompts = [decision_prompt(MODEL, STATE, one) for one in (CHOICE, TWO)]
    swapped = {prompts[0].text: prompts[1].tokens, prompts[1].text: prompts[0].tokens}

    (one, two), _ = asked([CHOICE, TWO], known=swapped)
    (alone,), _ = asked([CHOICE], known={})

    assert one.outside != pytest.approx(choice.outside, abs=1e-4)
    assert two.outside != pytest.approx(other.outside, abs=1e-4)
    assert alone.probabilities == pytest.approx(choice.probabilities, abs=1e-5)


def test_equal_questions_have_equal_answers():
    (one, two), _ = asked([CHOICE, CHOICE])

    assert one == two


def test_a_state_beyond_the_context_is_refused():
    with pytest.raises(PromptTooLongError, match="holds 2,048"):
        asked([PREDICATE], state="word " * 3000)


def test_control_tokens_of_a_state_are_text():
    plain = verdict_prompt(MODEL, decision_prompt(MODEL, "s", PREDICATE).text)
    typed = verdict_prompt(MODEL, decision_prompt(MODEL, "</s><s>", PREDICATE).text)

    control = MODEL.tokenizer.control_tokens
    assert sum(t in control for t in typed) == sum(t in control for t in plain)


def test_a_prompt_holds_the_state_first_and_then_the_options():
    described = DecisionQuestion("choice", "Which?", options("a", "b", description="so"))

    texts = [
        decision_prompt(MODEL, "STATE", one).text for one in (PREDICATE, DESCRIBED, described, MANY)
    ]

    assert texts[0] == "STATE\n\nIs it urgent?\n\nAnswer with Yes or No."
    assert "\nYes: so it is\nNo: so it is\n" in texts[1]
    assert texts[2] == "STATE\n\nWhich?\nA. a: so\nB. b: so\n\nAnswer with one letter."
    assert texts[3].endswith("\n- Room 39\n\nAnswer with one of these, word for word.")


def test_labels_that_are_no_tokens_give_way_to_texts():
    inner = byte_level("smollm")
    letters = replace(MODEL, tokenizer=Tokenizer(inner, bos=1, ends=[2]))

    assert decision_prompt(letters, "s", CHOICE).rule == "token"
    assert decision_prompt(MODEL, "s", PREDICATE).rule == "text"  # bytes alone
    assert decision_prompt(MODEL, "s", PREDICATE).choices == ("Yes", "No")


CHANCES = st.lists(st.floats(1e-12, 1), min_size=1, max_size=30)


@given(chances=CHANCES, temperature=st.floats(0.01, 100))
def test_probabilities_sum_to_one_and_keep_their_order(chances, temperature):
    answer = DecisionAnswer.of(chances, "token", temperature)

    assert math.fsum(answer.probabilities) == pytest.approx(1, abs=1e-9)
    assert chances[answer.best] == pytest.approx(max(chances), rel=1e-9)
    assert 0 <= answer.choice_confidence <= 1
    assert 0 <= answer.score_confidence <= 1
    assert 0 <= answer.score <= len(chances) - 1 + 1e-9


def test_confidences_at_their_ends():
    def answer(*chances):
        return DecisionAnswer.of(chances, "token")

    even, sure, one = answer(0.1, 0.1), answer(0.0, 1.0, 0.0), answer(0.3)
    assert even.probabilities == (0.5, 0.5)
    assert even.choice_confidence == 0
    assert sure.choice_confidence == sure.score_confidence == 1
    assert sure.score == 1
    assert one.choice_confidence == one.score_confidence == 1
    assert answer(0.2, 0.2, 0.2, 0.2).score_confidence == 0
    assert answer(0.0, 0.0).probabilities == (0.5, 0.5)


def test_score_confidence_is_that_of_the_definition():
    found = DecisionAnswer.of([0.1, 0.6, 0.3], "token")

    spread, even = 0.1 * 1 + 0.3 * 1, (1 + 0 + 1) / 3
    assert found.score == pytest.approx(0.6 + 2 * 0.3)
    assert found.score_confidence == pytest.approx(1 - spread / even)


def test_a_high_temperature_gives_equal_probabilities_and_a_low_one_certainty():
    warm = DecisionAnswer.of([0.6, 0.1, 0.2], "token", 1e9)
    cold = DecisionAnswer.of([0.6, 0.1, 0.2], "token", 1e-3)

    assert warm.probabilities == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert cold.probabilities == pytest.approx([1, 0, 0], abs=1e-6)
    assert warm.outside == cold.outside == pytest.approx(0.1)


def test_each_type_has_its_own_temperature():
    flat = DecisionTemperatures(choice=1e9)

    (choice, score), _ = asked([CHOICE, SCORE], temperatures=flat)
    (_, plain), _ = asked([CHOICE, SCORE])

    assert choice.probabilities == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert score == plain


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_temperature_is_a_number_above_zero(value):
    with pytest.raises(BadParameterError):
        DecisionTemperatures(score=value)


def test_a_question_needs_its_answers():
    with pytest.raises(BadParameterError):
        DecisionQuestion("choice", "Which?", ())
    with pytest.raises(BadParameterError):
        DecisionQuestion("predicate", "Is it?", options("Yes"))


def test_the_run_of_decisions_holds_their_probabilities():
    _, run = asked([CHOICE, SCORE])

    assert [len(one) for one in json.loads(run["answer"])] == [3, 4]
    assert run["finish"] == "stop"
    assert not run["candidates"]
