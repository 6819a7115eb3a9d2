"""Recipes on servers among many: compared, kept, stopped and gone on with, by a real process."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from forethought.backends.openai.endpoint import Patience
from forethought.backends.openai.token_estimate import estimate_tokens
from forethought.cli.main import exit_code
from forethought.contracts.errors import RemoteError, UsageError
from forethought.contracts.questions import Question, Task
from forethought.cost.prices import Price
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.compare import compare, evaluate
from forethought.evaluation.evaluate import Evaluation
from forethought.recipes.recipe import Recipe
from forethought.reports.comparison import comparison_csv, comparison_text
from forethought.sessions.batch import Answers
from forethought.sessions.remote_batch import Servers
from forethought.storage.store import Store
from tests.sessions.tiny_session import TARGET

HASTY = Patience(attempts=2, first_wait=0.01)
ONE_BY_ONE = Patience(attempts=2, first_wait=0.01, at_once=1)
VOTE, LIKELY = "majority-vote(n=4)", "best-of-n(n=4)@likelihood"
PROBES = 6
"""Requests by which it is found out what the toy does."""
PROVENANCE = {"processor": "one"}


@dataclass(frozen=True)
class Lines(Task):
    """A point for each answer whose first letter is b."""

    count: int = 3
    answer_tokens = 12

    def questions(self, measure) -> Iterator[Question]:
        for n in range(self.count):
            yield Question(f"q{n}", f"What is {n}?")

    def check(self, question, answer) -> float:
        return float(answer.startswith("b"))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "results.sqlite") as opened:
        yield opened


def recipes(toy, *searches):
    plain = Recipe(model=f"{toy.base}/v1#toy")
    parsed = [Recipe.parse(f"{plain.model}@{search}") for search in searches]
    return (plain, *parsed)


def texts(run):
    return [one["text"] for one in run["candidates"]]


def evaluated(store, chosen, task=Lines(), report=None, **servers):
    settings = {"patience": HASTY, **servers}
    with Answers(lambda *_: TARGET, servers=Servers(**settings)) as answers:
        return Evaluation(chosen, {"lines": task}, store, LocalCells(answers), PROVENANCE).run(
            report
        )


def said(store):
    """What is kept, times aside."""
    kept = {}
    for one in store.samples():
        run = {name: value for name, value in one.run.items() if name != "timing"}
        run["cost"] = {name: value for name, value in run["cost"].items() if name != "seconds"}
        kept[one.key] = json.dumps([run, one.score, dict(one.provenance)], sort_keys=True)
    return kept


def test_plain_answers_and_searches_are_compared(toy, store):
    chosen = recipes(toy, VOTE, LIKELY)
    found = evaluated(store, chosen, prices={"toy": Price(1.0, 10.0)})

    assert [one.recipe for one in found.standings] == [one.label for one in chosen]
    assert found.questions == 3
    plain = found.standings[0]
    assert math.isnan(plain.flops)
    assert math.isnan(plain.cache_bytes)
    assert plain.frontier.isdisjoint({"flops", "cache_bytes", "first_token"})
    assert plain.usd == pytest.approx((7 * 1.0 + 6 * 10.0) / 1e6)
    voted = [s.run for s in store.samples() if s.recipe == chosen[1].label]
    assert all(len(run["candidates"]) == 4 for run in voted)
    likely = [s.run for s in store.samples() if s.recipe == chosen[2].label]
    assert [texts(run) for run in likely] == [texts(run) for run in voted]
    assert [run["cost"]["usd"] for run in likely] == [run["cost"]["usd"] for run in voted]
    assert len(toy.told()["asked"]) == PROBES + 3 + 3 * 4
    assert "are estimated" in comparison_text(found, width=100, colour=False)


def test_a_second_run_asks_nothing(toy, store):
    chosen = recipes(toy, VOTE)
    first = evaluated(store, chosen)
    toy.set(models=["gone"])

    again = evaluated(store, chosen)

    assert toy.told()["asked"] == []
    assert comparison_csv(again, timing=False) == comparison_csv(first, timing=False)


def test_what_is_kept_tells_of_the_server_and_never_of_the_key(toy, store, monkeypatch):
    monkeypatch.setenv("FORETHOUGHT_API_KEY", "hush-5678")
    toy.set(served="toy-2026", fingerprint="fp_1", key="hush-5678")
    evaluated(store, recipes(toy, VOTE), Lines(1), prices={"": Price(1.0, 2.0)})

    told = store.samples()[0].provenance
    assert (told["server"], told["served"]) == (f"{toy.base}/v1", "toy-2026 fp_1")
    assert told["price"] == "$1/2 a million tokens"
    assert told["processor"] == "one"
    assert set(toy.told()["keys"]) == {"Bearer hush-5678"}
    assert "hush" not in "".join(store.connection.iterdump())


def test_a_server_that_changes_its_model_is_told_of(toy, store):
    toy.set(served="toy-1")
    evaluated(store, recipes(toy, VOTE), Lines(1))
    toy.set(served="toy-2")

    assert evaluated(store, recipes(toy, VOTE), Lines(2)).mixed == ("served",)


def test_recipes_on_two_servers_are_no_mixture(toy, store):
    other = Recipe(model=f"{toy.base.replace('127.0.0.1', 'localhost')}/v1#toy")

    assert evaluated(store, (*recipes(toy), other), Lines(1)).mixed == ()


def test_a_server_that_fails_ends_the_run_and_the_next_goes_on(toy, store, tmp_path):
    with Store.open(tmp_path / "whole.sqlite") as whole:
        evaluated(whole, recipes(toy, VOTE))
        expected = said(whole)
    toy.set(*[None] * (PROBES + 9), *[{"status": 500}] * 40)

    with pytest.raises(RemoteError, match="answered 500"):
        evaluated(store, recipes(toy, VOTE))
    kept = len(store.samples())
    toy.set()
    evaluated(store, recipes(toy, VOTE))

    assert 0 < kept < 6
    # What came before the failure is asked for no more, also where its search was not done.
    assert len(toy.told()["asked"]) == PROBES + 15 - 9
    assert said(store) == expected


def test_one_answer_that_cannot_be_had_costs_no_other(toy, store):
    toy.set(*[None] * PROBES, {"status": 400})
    with pytest.raises(RemoteError, match="answered 400"):
        evaluated(store, recipes(toy), patience=ONE_BY_ONE)

    assert len(store.samples()) == 2


@pytest.mark.parametrize("moment", [4, 9, 22, 24, 26, 28])
def test_an_interruption_keeps_no_half_of_a_search(toy, store, moment):
    looks = itertools.count()

    def clock():
        ours = threading.current_thread() is threading.main_thread()
        if ours and next(looks) == moment:
            raise KeyboardInterrupt
        return time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        evaluated(store, recipes(toy, VOTE), clock=clock, patience=ONE_BY_ONE)
    assert len(store.samples()) < 6
    evaluated(store, recipes(toy, VOTE))

    assert {s.run["finish"] for s in store.samples()} == {"stop"}
    assert {len(s.run["candidates"]) for s in store.samples()} == {0, 4}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("snapkv", "snapkv works on the KV cache of a local model"),
        ("specpc-shallow", "specpc-shallow asks a draft"),
    ],
)
def test_methods_are_refused_before_anything_is_asked(toy, tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        compare([name], ["addition(count=1)"], f"{toy.base}/v1", results=tmp_path / "r.sqlite")

    assert toy.told()["asked"] == []
    assert not (tmp_path / "r.sqlite").exists()


def test_a_search_that_the_server_cannot_do_is_refused(toy, store):
    toy.set(continues=False)
    with pytest.raises(UsageError, match="needs steps"):
        evaluated(store, recipes(toy, "beam(n=4)@likelihood"), Lines(1))


def test_a_time_is_no_budget_where_many_are_asked_at_once(toy, store):
    hurried = replace(recipes(toy)[0], budget="2s")
    with pytest.raises(UsageError, match="a time limit does not apply"):
        evaluated(store, (hurried,))


def test_a_model_without_a_name_is_kept_under_the_one_that_the_server_gives(toy, tmp_path):
    file = tmp_path / "r.sqlite"
    found = evaluate(["exact"], ["addition(count=1)"], toy.base, results=file)
    same = evaluate(["exact"], ["addition(count=1)"], f"{toy.base}/v1#toy", results=file)

    assert [one.recipe for one in found.standings] == [f"{toy.base}/v1#toy"]
    assert [one.recipe for one in same.standings] == [f"{toy.base}/v1#toy"]
    with Store.open(file) as store:
        assert len(store.samples()) == 1


def test_a_model_here_and_one_on_a_server_stand_in_one_table(toy, store):
    here = Recipe(model="target")
    found = evaluated(store, (here, *recipes(toy)), Lines(2))

    local, remote = found.standings
    assert local.flops > 0
    assert math.isnan(remote.flops)
    assert "flops" in local.frontier
    assert found.notes == ()
    assert "server" not in next(s for s in store.samples() if s.recipe == "target").provenance


def test_a_price_without_a_server_is_refused(tmp_path):
    with pytest.raises(UsageError, match="have no price"):
        evaluate(["exact"], ["addition(count=1)"], prices=["1/2"], results=tmp_path / "r.sqlite")


def test_lengths_are_about_those_of_a_tokenizer():
    assert estimate_tokens("The moon rose over the quiet harbour at 1912.\n") == 8 + 4 + 1 + 1
    assert estimate_tokens("") == 0
    assert estimate_tokens("水é") == 2


def test_the_command_says_where_it_goes_on_after_a_failure(toy, tmp_path, capsys):
    file = tmp_path / "r.sqlite"
    line = [
        "evaluate",
        "-m",
        f"{toy.base}/v1#toy",
        "-t",
        "addition(count=2)",
        "--results",
        str(file),
    ]
    toy.set(*[None] * PROBES, {"status": 400})
    assert exit_code(line) == 1
    err = capsys.readouterr().err
    assert "answered 400: {}" in err
    assert f"kept in {file}: the same line goes on from there" in err

    assert exit_code(line) == 0
    assert len(toy.told()["asked"]) == PROBES + 2 + PROBES + 1
    assert "tokens" in capsys.readouterr().out


def test_a_method_is_refused_on_the_command_line(toy, tmp_path, capsys):
    file = tmp_path / "r.sqlite"
    line = ["compare", "snapkv", "-m", f"{toy.base}/v1#toy", "-t", "vt", "--results", str(file)]

    assert exit_code(line) == 2
    assert "local model" in capsys.readouterr().err
    assert toy.told()["asked"] == []
