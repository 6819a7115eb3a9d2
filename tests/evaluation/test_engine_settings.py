"""Engine settings of `tune --settings --engine`: parsed, applied, and timed once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import torch

from forethought.contracts.errors import BadParameterError, UnknownNameError
from forethought.evaluation.engine_settings import REPEATS, TIMED, EngineSettings, Stopwatch
from forethought.evaluation.tune_settings import TuningSettings, tune_settings
from forethought.recipes.recipe import Recipe
from forethought.reports.terminal.settings import settings_text
from forethought.sessions.batch import Answers
from forethought.sessions.batch_question import BatchQuestion
from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model
from tests.tiny_model import tiny_model

TASK = "addition(digits=1, count=20)"


def test_settings_are_parsed_with_their_defaults() -> None:
    assert EngineSettings.of("") == EngineSettings(0, 0, "")
    assert EngineSettings.of("rows=4, weights=int4") == EngineSettings(0, 4, "int4")


@pytest.mark.parametrize("text", ["rows", "rows=0", "rows=two", "threads=100000"])
def test_wrong_values_are_refused(text: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        EngineSettings.of(text)
    assert "rows=1|4|8" in caught.value.hint


@pytest.mark.parametrize("text", ["row=4", "weights=int3"])
def test_unknown_names_have_a_suggestion(text: str) -> None:
    with pytest.raises(UnknownNameError):
        EngineSettings.of(text)


def test_threads_hold_inside_alone() -> None:
    before = torch.get_num_threads()

    with EngineSettings(threads=1).applied():
        assert torch.get_num_threads() == 1
    with EngineSettings().applied():
        assert torch.get_num_threads() == before

    assert torch.get_num_threads() == before


class Counting(Answers):
    """Answers that notes how many questions come at once."""

    groups: list[int]

    def answer(self, questions, refuse=None, replay_log=None) -> Iterator:  # type: ignore[no-untyped-def]
        self.groups.append(len(questions))
        yield from super().answer(questions, refuse, replay_log)


def test_questions_are_timed_in_groups_and_only_once(tmp_path: Path) -> None:
    model = tiny_model()
    answers = Counting(loader=lambda name, weights: model)
    answers.groups = []
    recipe = Recipe(model="tiny", max_tokens=2)
    asks = [BatchQuestion(recipe, f"What is {n}?") for n in range(TIMED + 3)]
    ticks = count()
    with Store.open(tmp_path / "r.sqlite") as store, answers:
        watch = Stopwatch(answers, store.request_seconds(), lambda: float(next(ticks)))

        first = watch.seconds(recipe, EngineSettings(rows=5), asks)
        groups, answers.groups = answers.groups, []
        again = watch.seconds(recipe, EngineSettings(rows=5), asks)

        assert groups == [1, *[5, 5, 5, 1] * REPEATS]
        assert answers.groups == []
        assert first == again == 1 / TIMED  # one tick a measurement
        watch.seconds(recipe, EngineSettings(rows=8), asks)
        assert answers.groups == [1, *[8, 8] * REPEATS]


def test_engine_settings_are_searched_by_seconds_and_resumed(tmp_path: Path) -> None:
    file = tmp_path / "r.sqlite"
    on = Recipe(model=str(write_tiny_model(tmp_path / "m")), max_tokens=2)
    wanted = TuningSettings(4, engine="rows=1|8, weights=bf16|int8", usd_per_hour=3.6)

    found = tune_settings("exact", [TASK], on, wanted=wanted, results=file)

    assert (found.objective, found.candidates) == ("seconds", 4)
    assert {one.engine for one in found.trials} == {
        f"rows={rows}, weights={weights}" for rows in (1, 8) for weights in ("bf16", "int8")
    }
    assert all(one.seconds and one.seconds > 0 for one in found.trials)
    assert found.exact_seconds
    told = settings_text(found, width=500)
    assert "exact with rows=1, weights=bf16: " in told
    assert "a run, none was right" in told or "$" in told
    with Store.open(file) as store:
        samples = store.counts()
    again = tune_settings("exact", [TASK], on, wanted=wanted, results=file)
    assert again == found
    with Store.open(file) as store:
        assert store.counts() == samples
    assert {name.partition("--")[2] for name, _ in samples} == {
        "max-tokens=2",
        "max-tokens=2 --weights=bf16",
        "max-tokens=2 --weights=int8",
    }
