"""Comparisons that run at the same time into one results file, whatever each of them asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import pytest

from forethought.contracts.questions import Question, Task
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.evaluate import Evaluation
from forethought.recipes.recipe import Recipe
from forethought.reports.comparison import comparison_csv
from forethought.sessions.batch import Answers
from forethought.storage.store import Store
from tests.caches import new_cache
from tests.cli.tiny_folder import write_tiny_model
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import DRAFTS, TARGET

MODELS = {"target": TARGET, **DRAFTS}
PLAIN = Recipe(model="target")
COLD = replace(PLAIN, approximate=("snapkv(keep=60)",))
WARM = replace(PLAIN, temperature=0.8)


def search(spelled, scorer=""):
    return replace(PLAIN, search=spelled, scorer=scorer)


VOTE_4, VOTE_6 = search("majority-vote(n=4)"), search("majority-vote(n=6)")
BEST = search("best-of-n(n=4)", "self-judge")
STEPS = search("step-beam(n=2, width=2, delimiter=' ')", "likelihood")
OVERLAPS = [
    ([VOTE_4], 4, [VOTE_4, VOTE_6], 5),
    ([VOTE_4, VOTE_6], 5, [VOTE_4], 3),
    ([BEST], 3, [VOTE_4, BEST], 4),
    ([PLAIN, COLD], 4, [COLD], 5),
    ([WARM, VOTE_6], 3, [STEPS, WARM, BEST], 3),
    ([STEPS], 3, [STEPS], 3),
]


@dataclass(frozen=True)
class Letters(Task):
    """How many of the answer's letters are lower case: random models get some score."""

    count: int
    answer_tokens = 12

    def questions(self, measure):
        for n in range(self.count):
            yield Question(f"q{n}", f"What is the code of locker {n}?")

    def check(self, question, answer):
        return sum(letter.islower() for letter in answer) / max(1, len(answer))


def evaluation(store, recipes, count, models=MODELS, samples=1):
    answers = Answers(lambda name, weights: models[name], clock=iter(range(10**9)).__next__)
    return Evaluation(
        tuple(recipes), {"letters": Letters(count)}, store, LocalCells(answers), {}, samples
    )


def table(comparison):
    return comparison_csv(comparison, timing=False)


def beside(file, one, other, at):
    """What `one` finds while `other` runs from its start to its end behind `at` of its answers."""
    found = []

    def meanwhile(progress):
        if progress.asked == at and not found:
            with Store.open(file) as second:
                found.append(evaluation(second, *other).run())

    with Store.open(file) as first:
        return evaluation(first, *one).run(meanwhile), *found


@pytest.fixture(scope="module", params=OVERLAPS)
def overlap(request):
    return request.param


@pytest.fixture(scope="module")
def alone(overlap, tmp_path_factory):
    """The scores of both evaluations, each in a file of its own."""
    found = []
    for asked in (overlap[:2], overlap[2:]):
        with Store.open(tmp_path_factory.mktemp("alone") / "r.sqlite") as store:
            found.append([each.score for each in evaluation(store, *asked).run().standings])
    return found


@pytest.mark.parametrize("at", fast_each(2, [0, 1, 2]))
def test_recipes_that_overlap_find_what_each_finds_alone(tmp_path, overlap, alone, at):
    one, other = overlap[:2], overlap[2:]

    together = beside(tmp_path / "shared.sqlite", one, other, at)

    assert [[each.score for each in found.standings] for found in together] == alone
    assert [found.notes for found in together] == [(), ()]
    with Store.open(tmp_path / "shared.sqlite") as store:
        keys = [sample.key for sample in store.samples()]
    assert len(keys) == len(set(keys))


def test_answers_that_differ_are_told_of_and_the_first_stay(tmp_path):
    """Another machine rounds otherwise: here it is another model by the same name."""
    other = {**MODELS, "target": DRAFTS["same-tokens"]}
    file, found = tmp_path / "shared.sqlite", []

    def meanwhile(progress):
        if progress.asked == 1 and not found:
            with Store.open(file) as second:
                found.append(evaluation(second, [WARM, VOTE_4], 3, other).run())

    with Store.open(file) as first:
        late = evaluation(first, [WARM, VOTE_4], 3).run(meanwhile)
        again = evaluation(first, [WARM, VOTE_4], 3).run()

    (note,) = late.notes
    assert "differ from what another process kept first" in note
    assert found[0].notes == again.notes == ()
    assert table(again) == table(late)


def test_what_another_process_answered_meanwhile_is_not_asked_again(tmp_path):
    asked = []

    def count(progress):
        asked.append(progress.asked)

    with Store.open(tmp_path / "r.sqlite") as store:
        mine = evaluation(store, [PLAIN, VOTE_4], 20)

        def meanwhile(progress):
            count(progress)
            if len(asked) == 2:
                with Store.open(tmp_path / "r.sqlite") as second:
                    evaluation(second, [PLAIN, VOTE_4], 20).run()

        mine.run(meanwhile)

    # What was on its way is written to its end, and nothing is begun after that.
    assert max(asked) <= 8


def test_a_recipe_that_states_the_usual_length_has_the_answers_of_one_that_leaves_it_open(tmp_path):
    usual = Letters(2).answer_tokens

    with Store.open(tmp_path / "r.sqlite") as store:
        silent = evaluation(store, [PLAIN, VOTE_4], 2).run()
        kept = store.samples()
        stated = [replace(one, max_tokens=usual) for one in (PLAIN, VOTE_4)]
        told = evaluation(store, stated, 2).run()

        assert store.samples() == kept
        assert [one.score for one in told.standings] == [one.score for one in silent.standings]
        assert [one.recipe for one in told.standings] == [one.label for one in stated]


SHARED = {
    "few": ["majority-vote(n=4)", "-t", "addition(digits=2, count=8)"],
    "more": ["majority-vote(n=4)", "majority-vote(n=6)", "-t", "addition(digits=2, count=10)"],
    "other": ["best-of-n(n=4)@likelihood", "-t", "addition(digits=2, count=9)", "--threads", "2"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def start(model, tmp_path):
    cache = new_cache(model.parent / "cache")
    environment = {**os.environ, "FORETHOUGHT_CACHE": str(cache)}
    environment["OMP_NUM_THREADS"] = "1"

    def begin(name, file):
        command = [sys.executable, "-m", "forethought", "compare", *SHARED[name], "--json"]
        where = ["--results", str(file), "-m", str(model), "--max-tokens", "16"]
        pipe = subprocess.PIPE
        return subprocess.Popen([*command, *where], stdout=pipe, stderr=pipe, env=environment)

    return begin


def scores(process):
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint.decode()
    return {one["recipe"]: one["score"] for one in json.loads(said)["standings"]}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_processes_share_a_file_whatever_they_ask_and_though_one_is_killed(start, tmp_path):
    """The searches share draws, so each finds pieces of the others in the file."""
    file = tmp_path / "shared.sqlite"
    killed = start("more", file)
    running = {name: start(name, file) for name in SHARED}
    while not (file.exists() and kept(file)):
        time.sleep(0.02)
        assert killed.poll() is None or kept(file)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    found = {name: scores(process) for name, process in running.items()}

    assert scores(start("more", tmp_path / "alone.sqlite")) == found["more"]
    assert kept(file) == 10 + 10 + 10 + 9


def kept(file):
    with Store.open(file) as store:
        return sum(store.counts().values())
