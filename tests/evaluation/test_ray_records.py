"""Messages between an evaluation and its workers survive the way there and back."""

from __future__ import annotations

import pytest

from forethought import catalogue
from forethought.contracts import errors
from forethought.contracts.errors import ClusterError, ForethoughtError
from forethought.contracts.questions import Question
from forethought.cost.prices import Price
from forethought.evaluation.ray_records import (
    Answered,
    ErrorRecord,
    Failed,
    Lookup,
    Outcome,
    Refused,
    WorkerSettings,
    cell_of,
    cell_text,
    reports_of,
    reports_text,
)
from forethought.evaluation.wanted_sample import wanted_sample
from forethought.recipes.recipe import Recipe

QUESTION = Question(
    "q\ud800", "How?\n\x00", "a document", ("1", "one"), "c", {"tests": ["assert x"], "n": 0.1}
)


def wanted(recipe, task="multi-hop-arithmetic(depth=2)"):
    built = next(iter(catalogue.expand("ruler").values()))
    return wanted_sample(recipe, "task", built, QUESTION, 3)


def test_a_cell_keeps_recipes_questions_and_seeds():
    recipes = (Recipe(approximate=("snapkv(keep=64)",), stop=("a", "b")), Recipe(model="x"))
    cell = [wanted(recipe) for recipe in recipes]

    found = cell_of(cell_text(cell))

    assert [one.recipe for one in found] == [one.recipe for one in cell]
    assert [one.source for one in found] == [QUESTION, QUESTION]
    assert [one.posed for one in found] == [one.ask.posed for one in cell]
    assert [one.task for one in found] == [None, None]


def test_a_scorer_gets_its_task():
    one = wanted(Recipe(search="best-of-n(n=2)", scorer="checker"))

    (found,) = cell_of(cell_text([one]))

    assert found.task == one.origin


def test_reports_arrive_as_they_were_sent():
    error = ErrorRecord("BudgetTooSmallError", "too small", "more")
    sent = [
        Lookup("k"),
        Outcome("k", {"cost": 0.1, "chances": [[0.25, 0.75]]}),
        Answered(2, {"answer": "\udcff é"}, {"server": "here"}),
        Refused(1, error),
        Failed(error),
    ]

    assert list(reports_of(reports_text(sent))) == sent


def kinds(kind):
    return [kind, *(one for sub in kind.__subclasses__() for one in kinds(sub))]


@pytest.mark.parametrize(
    "kind", [k for k in kinds(ForethoughtError) if k.__module__ == errors.__name__]
)
def test_an_error_keeps_its_class(kind):
    record = ErrorRecord.of(kind("what", "why"))

    error = ErrorRecord.parse(record.text()).error

    assert (type(error), error.message, error.hint) == (kind, "what", "why")


def test_an_error_of_a_class_that_is_not_loaded_here_is_one_of_the_cluster():
    assert type(ErrorRecord("OfAnotherPackage", "what", "").error) is ClusterError


def test_settings_keep_their_prices():
    settings = WorkerSettings("1", "http://a/v1", 2, {"": Price(1, 2.5), "big": Price(3, 4, 0.1)})

    assert WorkerSettings.parse(settings.text()) == settings
