"""Cells on workers: the answers of this process, and nothing lost or asked twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from forethought.contracts.errors import (
    BadDataError,
    BudgetTooSmallError,
    ClusterError,
    RemoteError,
    UnsupportedModelError,
)
from forethought.contracts.questions import Question, Task
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.evaluate import Evaluation
from forethought.evaluation.ray_cells import MAX_LOSSES, RayCells
from forethought.evaluation.ray_records import Answered, Lookup, Outcome
from forethought.recipes.recipe import Recipe
from forethought.reports.comparison import comparison_csv
from forethought.sessions.batch import Answers
from forethought.sessions.remote_batch import Servers
from forethought.storage.store import Store
from tests.evaluation.near_workers import NearWorkers
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, TARGET

MODELS = {"target": TARGET, **DRAFTS}
EXACT = Recipe(model="target")
VOTE = replace(EXACT, search="majority-vote(n=3)")
RECIPES = (
    EXACT,
    replace(EXACT, approximate=("snapkv(keep=120)",)),
    replace(EXACT, draft="same-tokens", approximate=("specpc-shallow(keep=150)",)),
    replace(EXACT, temperature=1.0, seed=5),
    VOTE,
    replace(EXACT, search="rpc(n=3)"),
)
OF_THE_BATCH = ("seconds", "timing", "bytes_moved", "peak_cache_bytes")
"""What a run costs beside others, and not alone."""


@dataclass(frozen=True)
class Letters(Task):
    """The share of lower-case letters of the answer, so random models get some score."""

    count: int = 4
    answer_tokens = 8

    def questions(self, measure) -> Iterator[Question]:
        for n in range(self.count):
            yield Question(f"q{n}", f"What is the code of locker {n}?", DOCUMENT[: 300 + 20 * n])

    def check(self, question, answer) -> float:
        return sum(letter.islower() for letter in answer) / max(1, len(answer))


def evaluated(store, runner, recipes=RECIPES, task=Letters(), progress=None):
    found = Evaluation(recipes, {"letters": task}, store, runner, {}).run(progress)
    return comparison_csv(found, timing=False)


def near(store, workers, *rest, **settings):
    with Answers(lambda *_: TARGET) as answers:
        return evaluated(store, RayCells(answers, workers.opened), *rest, **settings)


def here(store, recipes=RECIPES):
    clock = iter(range(10**9)).__next__
    runner = LocalCells(Answers(lambda name, weights: MODELS[name], clock))
    return evaluated(store, runner, recipes)


def alone(value):
    """A stored run without what depends on the batch in which it ran."""
    if isinstance(value, dict):
        return {name: alone(one) for name, one in value.items() if name not in OF_THE_BATCH}
    return [alone(one) for one in value] if isinstance(value, list) else value


def kept(store):
    return {one.key: (one.recipe, one.score, alone(one.run)) for one in store.samples()}


def outcomes(store):
    return {key for (key,) in store.connection.execute("SELECT key FROM pieces")}


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "results.sqlite") as opened:
        yield opened


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("whole") / "results.sqlite") as opened:
        return here(opened), kept(opened), outcomes(opened)


def test_workers_give_the_answers_and_costs_of_one_process(store, whole):
    workers = NearWorkers(MODELS)

    table = near(store, workers)

    assert (table, kept(store), outcomes(store)) == whole
    assert {worker for worker, _ in workers.taken} == {1, 2}
    assert sorted(workers.reported) == sorted(outcomes(store))


@pytest.mark.parametrize("behind", [Answered, Outcome])
def test_the_cell_of_a_dead_worker_goes_on_with_another(store, whole, behind):
    workers = NearWorkers(MODELS, dies={1: behind, 2: behind})

    table = near(store, workers)

    assert len(workers.started) == 4
    assert (table, kept(store), outcomes(store)) == whole
    # A draw that was reported is not drawn again, whichever worker asks for it.
    assert sorted(workers.reported) == sorted(outcomes(store))


def test_a_stopped_evaluation_goes_on_with_what_its_workers_reported(store, whole):
    def stop(progress):
        if progress.asked == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        near(store, NearWorkers(MODELS), progress=stop)
    before, drawn = set(kept(store)), outcomes(store)
    workers, reports = NearWorkers(MODELS), []
    table = near(store, workers, progress=reports.append)

    assert len(before) == 9
    assert (reports[0].done, reports[-1].asked) == (9, len(whole[1]) - 9)
    assert (table, kept(store)) == whole[:2]
    assert drawn.isdisjoint(workers.reported)


def test_progress_counts_every_sample_once_though_a_worker_dies(store):
    reports = []

    near(store, NearWorkers(MODELS, dies={1: Answered}), progress=reports.append)

    assert [one.done for one in reports] == list(range(25))


def test_no_worker_starts_if_all_is_stored(store):
    here(store)
    workers = NearWorkers(MODELS)

    near(store, workers)

    assert workers.started == []


def test_a_cell_that_kills_every_worker_ends_the_evaluation(store):
    workers = NearWorkers(MODELS, engines=1, dies=dict.fromkeys(range(1, 10), Lookup))

    with pytest.raises(ClusterError, match=r"3 workers died.*it was killed") as error:
        near(store, workers, (EXACT, VOTE))

    assert len(workers.started) == MAX_LOSSES
    assert {one.recipe for one in store.samples()} == {"target"}
    assert "memory" in error.value.hint


def test_a_recipe_that_does_not_fit_is_left_out(store):
    small = replace(EXACT, approximate=("bm25(keep=3)",))
    runner = RayCells(Answers(lambda *_: TARGET), NearWorkers(MODELS).opened)

    found = Evaluation((EXACT, small), {"letters": Letters()}, store, runner, {}).run()

    assert [one.recipe for one in found.standings] == ["target"]
    assert found.refusals[0].reason.startswith(f"{small.spelling}: bm25 keeps 3 tokens")


def test_the_error_of_the_first_recipe_keeps_its_kind_and_hint(store):
    small = replace(EXACT, approximate=("bm25(keep=3)",))

    with pytest.raises(BudgetTooSmallError, match="must stay") as error:
        near(store, NearWorkers(MODELS), (small, EXACT))

    assert error.value.hint
    # Cells that ran at the time were finished.
    assert {one.recipe for one in store.samples()} <= {"target"}


class Broken(Answers):
    """Its models do not load."""

    def model(self, name, weights):
        raise UnsupportedModelError(f"{name} has 7 heads", "name another")


class Faulty(Answers):
    """A bug."""

    def model(self, name, weights):
        return {}[name]


def test_an_error_of_a_worker_is_raised_here(store):
    with pytest.raises(UnsupportedModelError, match="target has 7 heads") as error:
        near(store, NearWorkers(MODELS, answers=Broken))

    assert error.value.hint == "name another"


def test_a_bug_in_a_worker_is_a_message(store):
    with pytest.raises(ClusterError, match="a worker failed: KeyError: 'target'"):
        near(store, NearWorkers(MODELS, answers=Faulty))


def test_a_node_with_another_version_is_refused(store):
    with pytest.raises(ClusterError, match=r"a node of the cluster has forethought .* runs 9\.9"):
        near(store, NearWorkers(MODELS, version="9.9"))


def test_an_answer_that_cannot_be_judged_stops_the_evaluation(store):
    @dataclass(frozen=True)
    class Unjudged(Letters):
        def check(self, question, answer):
            raise BadDataError("there is no reference")

    with pytest.raises(BadDataError, match="letters, q0: there is no reference"):
        near(store, NearWorkers(MODELS), (EXACT,), Unjudged())


def test_workers_load_different_models_first(store):
    loaded = {}

    class Counting(Answers):
        def model(self, name, weights):
            loaded.setdefault(id(self), name)
            return super().model(name, weights)

    others = (EXACT, Recipe(model="same-tokens"))
    near(store, NearWorkers(MODELS, answers=Counting), others, Letters(12))

    assert sorted(loaded.values()) == ["same-tokens", "target"]


@dataclass(frozen=True)
class Lines(Letters):
    """Short questions for servers."""

    count: int = 12
    answer_tokens = 12

    def questions(self, measure) -> Iterator[Question]:
        for n in range(self.count):
            yield Question(f"q{n}", f"What is {n}?")


def pool(toys):
    """A plain recipe and a search on all of these servers as one."""
    plain = Recipe(model=f"{','.join(f'{one.base}/v1' for one in toys)}#toy", temperature=1.0)
    return plain, replace(plain, search="majority-vote(n=3)")


def on_servers(file, recipes):
    """The samples of a run without workers, and the number of requests that it made."""
    with Servers() as servers, Store.open(file) as store:
        runner = LocalCells(Answers(servers=servers))
        recipes = tuple(map(runner.settled, recipes))
        return evaluated(store, runner, recipes, Lines()), kept(store), recipes


def test_each_server_of_a_pool_has_a_worker(mortals, store, tmp_path):
    *expected, recipes = on_servers(tmp_path / "here.sqlite", pool(mortals))
    alone = sum(len(one.told()["asked"]) for one in mortals)
    for one in mortals:
        one.set()
    workers = NearWorkers({})

    table = near(store, workers, recipes, Lines())

    assert [table, kept(store)] == expected
    assert sorted(workers.started) == sorted(f"{one.base}/v1" for one in mortals)
    asked = [len(one.told()["asked"]) for one in mortals]
    assert sum(asked) <= alone
    assert min(asked) > 12


def test_a_pool_goes_on_without_a_server_that_is_lost(mortals, store, tmp_path):
    *expected, recipes = on_servers(tmp_path / "here.sqlite", pool(mortals))

    def kill(progress):
        if progress.asked == 1:
            mortals[0].kill()

    table = near(store, NearWorkers({}), recipes, Lines(), progress=kill)

    assert [table, kept(store)] == expected


def test_the_last_server_that_fails_ends_the_evaluation(mortals, store):
    with Answers() as answers:
        recipes = tuple(map(answers.settled, pool(mortals)))

    def kill(progress):
        if progress.asked == 1:
            for one in mortals:
                one.kill()

    with pytest.raises(RemoteError):
        near(store, NearWorkers({}), recipes, Lines(), progress=kill)

    assert store.samples()
