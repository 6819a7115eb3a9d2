"""What a back end gave is kept: a killed run of searches loses nothing and asks nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.backend import Opened, RequestOutcome
from forethought.contracts.errors import ModelError
from forethought.contracts.records import Cost, Kept
from forethought.contracts.search import Piece
from forethought.driver.driver import Driver
from forethought.methods.search.majority_vote import MajorityVote
from forethought.storage.store import Store
from tests.driver.searches import Kept as Memory
from tests.driver.searches import job, searched, three_steps

ROOT = Path(__file__).parents[2]


def start(file, questions, strategy):
    return subprocess.Popen(
        [sys.executable, "tests/driver/killed_search.py", str(file), str(questions), strategy],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def pieces(file):
    if not file.exists():
        return 0
    with Store.open(file) as store:
        journal = store.replay_log()
        journal.get("")  # makes the table, if it is not there yet
        return store.connection.execute("SELECT COUNT(*) FROM pieces").fetchone()[0]


def whole(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, int(err.split()[-1])


def killed_and_run_again(folder, questions, strategy, kills):
    """How many requests were asked for in all, none of them twice."""
    expected, all_pieces = whole(start(folder / "whole.sqlite", questions, strategy))
    assert all_pieces == pieces(folder / "whole.sqlite")

    file, rng = folder / "killed.sqlite", random.Random(5)
    for kill in range(kills):
        process = start(file, questions, strategy)
        target = (kill + rng.random()) * all_pieces / (kills + 1)
        while process.poll() is None and pieces(file) < target:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = pieces(file)
    found, asked = whole(start(file, questions, strategy))

    assert 0 < kept < all_pieces
    assert found == expected
    assert asked == all_pieces - kept
    assert pieces(file) == all_pieces
    return all_pieces


def test_killed_at_any_moment_and_run_again_it_finds_the_same(tmp_path):
    assert killed_and_run_again(tmp_path, 30, "majority-vote(n=6)", kills=2) == 30 * 6


@pytest.mark.parametrize(
    "strategy",
    ["particle-filter(n=3", pytest.param("mcts(n=2, iterations=4", marks=pytest.mark.slow)],
)
def test_killed_amid_steps_and_verdicts_it_finds_the_same(tmp_path, strategy):
    killed_and_run_again(tmp_path, 12, f"{strategy}, delimiter='\\n')", kills=2)


@pytest.mark.slow
def test_two_hundred_questions_killed_ten_times(tmp_path):
    assert killed_and_run_again(tmp_path, 200, "majority-vote(n=16)", kills=10) == 200 * 16


@pytest.mark.slow
def test_two_hundred_step_searches_killed_ten_times(tmp_path):
    strategy = "smc(n=16, resample_below=1.0, delimiter='\\n')"
    killed_and_run_again(tmp_path, 200, strategy, kills=10)


def test_an_outcome_reads_back_as_it_was_put(tmp_path):
    kept = Kept(3, 9, (0, 4, 8), (0.5, 1.0, 0.25), cache_bytes=77)
    outcome = RequestOutcome(
        "k",
        Cost(output_tokens=2, flops=3.5, usd=0.01),
        Piece("a\n", (4, 5), 2, -1.5, "step", "\N{REPLACEMENT CHARACTER}", 3.5, 2),
        ((0.25, 0.75),),
        Opened(9, kept, ("a note",)),
        seconds=1.25,
        lost=Cost(prompt_tokens=9, output_tokens=3),
    )
    with Store.open(tmp_path / "r.sqlite") as store:
        journal = store.replay_log()
        assert journal.get("k") is None
        journal.put(outcome)
        journal.put(RequestOutcome("k", Cost()))  # what is there stays
        assert journal.get("k") == outcome
    with Store.open(tmp_path / "r.sqlite") as store:
        assert store.replay_log().get("k") == outcome


def test_token_confidences_are_kept_and_absent_where_they_were_not_asked_for(tmp_path):
    with_them = Piece("a", (1,), 1, -1.0, "stop", token_confidences=(2.5, 3.0))
    without = Piece("a", (1,), 1, -1.0, "stop")
    with Store.open(tmp_path / "r.sqlite") as store:
        journal = store.replay_log()
        for key, piece in [("with", with_them), ("without", without)]:
            journal.put(RequestOutcome(key, Cost(), piece))
        assert journal.get("with").piece == with_them
        assert journal.get("without").piece == without
        query = "SELECT outcome FROM pieces WHERE key = 'without'"
        assert "token_confidences" not in store.connection.execute(query).fetchone()[0]


def test_pieces_of_earlier_versions_are_read(tmp_path):
    with Store.open(tmp_path / "r.sqlite") as store:
        journal = store.replay_log()
        for key, finish in (("a", "stop"), ("b", "step")):
            journal.put(RequestOutcome(key, Cost(), Piece("a\n", (4, 5), 2, -1.5, finish)))
        gone = "json_remove(outcome, '$.piece.summed', '$.lost')"
        store.connection.execute(f"UPDATE pieces SET outcome = {gone}")
        assert [journal.get(key).piece.scored_tokens for key in "ab"] == [3, 2]
        assert journal.get("a").lost == Cost()


def test_half_a_piece_and_a_failure_are_never_kept():
    kept, backend = Memory(), KnownBackend(three_steps)
    (cut,) = Driver(backend, kept).run([job(MajorityVote(n=4), budget="2s")])
    assert cut.budget_spent
    assert len(backend.asked) == 4
    assert not kept.outcomes

    bad = backend.asked[1]
    failing = KnownBackend(three_steps, failures={bad: ModelError("the line is dead")})
    failing.delay = lambda key: 9.0 if key == bad else 1.0  # all others have come before
    (failed,) = Driver(failing, kept).run([job(MajorityVote(n=4))])
    assert failed.error
    assert {*kept.outcomes} == {*failing.asked} - {bad}

    again = KnownBackend(three_steps)
    (done,) = Driver(again, kept).run([job(MajorityVote(n=4))])
    assert done.found == searched(MajorityVote(n=4)).found
    assert again.asked == [bad]
