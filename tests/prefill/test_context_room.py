"""A prompt that nearly fills the model's context: every way to answer stops where it is full."""

from __future__ import annotations

import functools
import itertools

import pytest

from forethought import catalogue
from forethought.contracts.errors import PromptTooLongError
from forethought.models.chat.prompt import chat_prompt
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch import Answers, BatchQuestion
from forethought.sessions.conversation import Conversation
from forethought.sessions.session import Session
from tests.fast_cases import fast_each, fast_where
from tests.tiny_model import tiny_model

CONTEXT, ROOM = 400, 12
TARGET = tiny_model("target", seed=1, max_position_embeddings=CONTEXT)
WIDE = tiny_model("wide", seed=2, max_position_embeddings=4096, num_hidden_layers=2)
NARROW = tiny_model("narrow", seed=2, max_position_embeddings=CONTEXT, num_hidden_layers=2)
NOTE = f"the model's context has room for {ROOM} tokens of the answer"


def prompt_length(text):
    return len(chat_prompt(TARGET.tokenizer, TARGET.template, text))


QUESTION = "Why? " + "x" * (CONTEXT - ROOM - prompt_length("Why? "))
NEEDS_FILE = {"difficulty-router", "difficulty", "restart-gain"}
"""Strategies that are made of a file."""
ASKS_ANEW = {"tim", "hogwild"}
"""Strategies whose first prompt is longer than the question."""
STRATEGIES = sorted({*catalogue.entries("strategies")} - NEEDS_FILE - ASKS_ANEW)
USES_DRAFT = {"cascade", "spec-reason"}
WITHOUT_DRAFT = sorted({*STRATEGIES} - USES_DRAFT)


def session(draft=WIDE, **settings):
    recipe = Recipe(**{"model": "target", "draft": draft.name, "max_tokens": 60, **settings})
    methods = tuple((name, catalogue.build(name)) for name in recipe.approximate)
    return Session(recipe, methods, TARGET, draft, clock=itertools.count().__next__)


def run(question=QUESTION, **settings):
    *_, done = session(**settings).stream(question)
    return done.data["run"]


def searching(name):
    # A grade of a drafted step needs room for its question too, so the target writes all steps.
    name = "spec-reason(theta=10)" if name == "spec-reason" else name
    built = catalogue.build(name, "strategies")
    return {"search": name, "scorer": "likelihood" if built.scores else ""}


@functools.cache
def searched(name, draft):
    """A run of a search, which no test changes."""
    return run(draft={one.name: one for one in (WIDE, NARROW)}[draft], **searching(name))


def own(found):
    """The candidates that answer the question itself, not one on the way."""
    return [one for one in found["candidates"] if not one.get("question")]


def test_the_question_leaves_the_room_that_these_tests_count_on():
    assert prompt_length(QUESTION) == CONTEXT - ROOM
    assert run()["cost"]["output_tokens"] == ROOM
    assert NOTE in run(samples=2, temperature=0.7)["notes"]


@pytest.mark.parametrize(
    ("name", "draft"),
    [
        *((name, WIDE) for name in STRATEGIES),
        *fast_where(lambda case: case[0] in USES_DRAFT, [(name, NARROW) for name in STRATEGIES]),
    ],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_a_search_has_the_room_and_the_note_of_a_plain_answer(name, draft):
    found = searched(name, draft.name)

    assert NOTE in found["notes"]
    written = [one for one in own(found) if one.get("writer") != "draft"]
    assert max(one["tokens"] for one in written) == ROOM
    assert {one["finish"] for one in written} <= {"stop", "length", "budget", ""}
    assert found["answer"]


@pytest.mark.parametrize("name", fast_each(3, WITHOUT_DRAFT))
def test_a_search_in_a_full_context_ends_as_one_with_that_greatest_length(name):
    """Both write the same answers, as nothing is written beyond the room either way."""
    free, limited = searched(name, WIDE.name), run(max_tokens=ROOM, **searching(name))

    assert [one["text"] for one in own(free)] == [one["text"] for one in own(limited)]
    assert free["answer"] == limited["answer"]
    assert free["finish"] == limited["finish"]


def test_many_answers_at_once_have_the_same_room_and_note():
    recipes = [
        Recipe(model="target", max_tokens=60),
        Recipe(model="target", max_tokens=60, search="majority-vote(n=2)"),
    ]

    with Answers(loader=lambda name, weights: TARGET) as answers:
        found = {
            one.place: one.run
            for one in answers.answer([BatchQuestion(r, QUESTION) for r in recipes])
        }

    assert len(found) == 2
    for one in found.values():
        assert NOTE in one.notes
        assert one.cost.output_tokens in (ROOM, 2 * ROOM)


def test_where_the_context_is_shorter_than_the_budget_it_is_not_the_budget_that_ended():
    recipe = Recipe(model="target", max_tokens=60, budget="50tok")

    with Answers(loader=lambda name, weights: TARGET) as answers:
        (found,) = answers.answer([BatchQuestion(recipe, QUESTION)])

    assert (found.run.finish, found.run.cost.output_tokens) == ("length", ROOM)


def test_a_draft_with_less_room_is_told_of():
    """The small model's context ends before the large one's."""
    recipe = Recipe(model="wide", draft="target", max_tokens=60, search="cascade(n=2, sure=0)")
    *_, done = Session(recipe, (), WIDE, TARGET, clock=itertools.count().__next__).stream(QUESTION)

    assert (
        f"the draft's context has room for {ROOM} tokens of the answer" in done.data["run"]["notes"]
    )


@pytest.mark.parametrize("name", WITHOUT_DRAFT)
def test_a_prompt_that_fills_the_context_is_refused_whatever_is_asked(name):
    with pytest.raises(PromptTooLongError, match="holds 400, the answer included"):
        run(QUESTION + "x" * ROOM, **searching(name))


ON_THE_WAY = ["self-refine", "checklist", "tree-refine", "cross-lingual", "adaptive", "best-of-n"]


@pytest.mark.parametrize("name", ON_THE_WAY)
@pytest.mark.parametrize("length", fast_each(2, [120, 200, 260]))
def test_answers_survive_where_what_is_asked_about_them_does_not_fit(name, length):
    """Questions about answers are longer than the question, and some do not fit."""
    scorer = {"scorer": "self-judge"} if searching(name)["scorer"] else {}
    found = run("Why? " + "x" * length, **{**searching(name), **scorer})

    assert found["answer"]
    assert found["finish"] in ("stop", "length")
    texts = ("end of the model's context", "holds 400")
    told = [one for one in found["notes"] if any(text in one for text in texts)]
    # `adaptive` asks a short question behind the answer, which fits longer.
    assert told or length < (260 if name == "adaptive" else 200)


def test_a_later_turn_that_does_not_fit_is_told_what_a_later_turn_can_do():
    talk = Conversation(session(draft=TARGET, max_tokens=20), "")
    list(talk.stream("Why? " + "x" * 200))

    with pytest.raises(PromptTooLongError, match="conversation has") as first:
        list(talk.stream("y" * 300))

    assert first.value.hint.startswith("ask a shorter question, or begin a new conversation")


def test_a_later_turn_that_does_not_fit_the_draft_is_not_told_to_shorten_it():
    """The draft reads for an eviction at every turn, and here holds less than its target."""
    recipe = Recipe(model="wide", draft="target", max_tokens=20, approximate=("speckv(keep=250)",))
    methods = tuple((name, catalogue.build(name)) for name in recipe.approximate)
    clock = itertools.count().__next__
    talk = Conversation(Session(recipe, methods, WIDE, TARGET, clock=clock), "x " * 140)
    list(talk.stream("Why?"))

    with pytest.raises(PromptTooLongError, match="draft target holds 400") as later:
        list(talk.stream("y" * 60))

    assert later.value.hint == "use a draft with a longer context, or start a new conversation"


def test_a_conversation_that_is_full_advises_a_new_one():
    talk = Conversation(session(draft=TARGET, max_tokens=60), "")
    list(talk.stream(QUESTION))

    with pytest.raises(PromptTooLongError) as full:
        list(talk.stream("And?"))

    assert full.value.hint.startswith("begin a new conversation")
