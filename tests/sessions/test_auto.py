"""What `-x auto` chooses: by what was compared, and by what it costs for this prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.draft_model import ModelDraft
from forethought.recipes.recipe import Recipe
from forethought.sessions.auto import DEFAULT, choose
from forethought.sessions.session import Session, built_methods
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET
from tests.tiny_model import TEMPLATE, tiny_model

RECIPE = Recipe(model="target", draft="same-tokens", approximate=("auto",))
LONG = chat_prompt(TARGET.tokenizer, TEMPLATE, QUESTION, DOCUMENT * 4)
BIG = tiny_model("target", seed=1, num_hidden_layers=12)
DRAFT = ModelDraft(DRAFTS["same-tokens"], BIG, Meter(lambda: 0.0))


LENGTH = len(LONG)


def samples(scores, recipe="", task="t", length=LENGTH):
    return [
        Sample(f"{recipe}{task}{n}", f"target{recipe}", task, f"q{n}", f"q{n}", 0, score,
               {"kept": {"of": length}}, {})
        for n, score in enumerate(scores)
    ]  # fmt: skip


def chosen(*stored, prompt=LONG, draft=DRAFT, recipe=RECIPE):
    return choose(recipe, prompt, draft, [one for many in stored for one in many])


def test_without_comparisons_the_cost_model_decides():
    choice = chosen()

    assert choice.methods == (DEFAULT,)
    assert "no comparison of target" in choice.reason


def test_a_draft_that_saves_little_is_left_out():
    costly = ModelDraft(tiny_model("same", seed=2, num_hidden_layers=30), BIG, DRAFT.meter)

    choice = chosen(draft=costly)

    assert choice.methods == ()
    assert "save too little" in choice.reason


def test_a_short_prompt_is_read_as_it_is():
    short = chat_prompt(TARGET.tokenizer, TEMPLATE, QUESTION)

    assert chosen(prompt=short).methods == ()


def test_of_what_loses_little_the_cheapest_is_chosen():
    choice = chosen(
        samples([1] * 40),
        samples([1] * 40, "+truncate(keep=0.5)"),
        samples([1] * 40, "+truncate(keep=0.25)"),
        samples([1, 0] * 20, "+truncate(keep=0.1)"),
    )

    assert choice.methods == ("truncate(keep=0.25)",)
    assert "+0.0 points beside exact on 40 stored questions" in choice.reason


def test_a_few_questions_prove_nothing():
    choice = chosen(samples([1] * 4), samples([1] * 4, "+truncate(keep=0.25)"))

    assert choice.methods == ()
    assert "of 1 stored comparisons none is as good and cheaper" in choice.reason


@pytest.mark.parametrize(
    "name",
    [
        "+draft(other)+specpc-shallow(keep=0.1)",
        "+specpc-shallow(keep=0.1)",
        "+truncate(keep=0.1) --seed=3",
    ],
)
def test_other_drafts_and_settings_prove_nothing(name):
    assert chosen(samples([1] * 40), samples([1] * 40, name)).methods == (DEFAULT,)


def test_prompts_of_another_length_prove_nothing():
    far = 3 * len(LONG)

    stored = samples([1] * 40, length=far), samples([1] * 40, "+truncate(keep=0.1)", length=far)

    assert chosen(*stored).methods == (DEFAULT,)


def test_a_run_says_what_was_chosen_and_can_be_repeated(monkeypatch, tmp_path):
    monkeypatch.setenv("FORETHOUGHT_RESULTS", str(tmp_path / "none.sqlite"))
    recipe = replace(RECIPE, max_tokens=4)
    session = Session(recipe, (), BIG, DRAFTS["same-tokens"], clock=lambda: 0.0)

    *_, done = session.stream(QUESTION, DOCUMENT * 4)

    run = done.data["run"]
    assert run["recipe"] == f"target+draft(same-tokens)+{DEFAULT}"
    assert run["notes"][0].startswith(f"auto: {DEFAULT}: ")
    assert run["kept"]["prompt_tokens"] == round(len(LONG) / 4)
    named = replace(Recipe.parse(run["recipe"]), max_tokens=4)
    alone = Session(named, built_methods(named), BIG, DRAFTS["same-tokens"])
    *_, repeated = alone.stream(QUESTION, DOCUMENT * 4)
    assert repeated.data["run"]["answer"] == run["answer"]


def test_auto_stands_alone():
    with pytest.raises(UsageError, match="auto chooses all methods"):
        Recipe(approximate=("auto", "snapkv"))
