from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.contracts.search import Found, Strategy, score, write
from forethought.methods.scoring.checker import Checker
from forethought.methods.scoring.noisy_checker import NoisyChecker
from forethought.numerics.verifiers import Kind, Resampling, Verifier
from tests.driver.searches import coin, searched
from tests.methods.scoring.toys import Letters, StepLetters, candidate, scored

MANY = [candidate(text, path=(n,)) for n in range(2000) for text in ("aaa", "bbb")]
RIGHT, WRONG = slice(0, None, 2), slice(1, None, 2)


def heard(candidates=MANY, question=None, **settings):
    return np.array(scored(NoisyChecker(**settings).on_task(Letters()), candidates, question)[0])


def test_without_errors_it_is_the_checker():
    mixed = [*MANY[:50], candidate("ab"), candidate("")]
    exact = scored(Checker().on_task(Letters()), mixed)[0]
    assert heard(mixed, false_positive=0.0, false_negative=0.0).tolist() == exact


def test_at_rates_of_one_every_verdict_is_turned_round():
    found = heard([candidate("aaa"), candidate("b"), candidate("ab")],
                  false_positive=1.0, false_negative=1.0)  # fmt: skip
    assert found.tolist() == [0.0, 1.0, 0.75]


def test_what_is_less_than_half_right_counts_as_wrong():
    partly = [candidate("ab")]
    assert heard(partly, false_positive=0.0, false_negative=1.0).tolist() == [0.25]
    assert heard(partly, false_positive=1.0, false_negative=0.0).tolist() == [0.75]


def test_each_rate_is_kept_for_its_own_kind_of_error():
    found = heard(false_positive=0.3, false_negative=0.1)
    # Four standard errors of 2,000.
    assert found[WRONG].mean() == pytest.approx(0.3, abs=0.041)
    assert found[RIGHT].mean() == pytest.approx(0.9, abs=0.027)


def test_errors_do_not_depend_on_order_or_company():
    whole = heard(false_positive=0.5)
    order = list(range(len(MANY)))
    random.Random(1).shuffle(order)
    shuffled = heard([MANY[place] for place in order], false_positive=0.5)
    assert shuffled.tolist() == whole[order].tolist()
    assert heard([MANY[7]], false_positive=0.5)[0] == whole[7]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"question": Question("r", "What?")},
        {"candidates": [candidate(one.text, path=(*one.path, 0)) for one in MANY]},
        {"candidates": [candidate(one.text, path=one.path, question="Why?") for one in MANY]},
        {"candidates": [candidate(one.text + one.text, path=one.path) for one in MANY]},
    ],
)
def test_another_seed_question_or_candidate_makes_errors_of_its_own(other):
    first, second = heard(false_positive=0.5), heard(false_positive=0.5, **other)
    # Independent of each other; four standard errors of 2,000.
    assert np.corrcoef(first[WRONG], second[WRONG])[0, 1] == pytest.approx(0, abs=0.09)


def test_beginnings_are_judged_by_what_they_can_become():
    scorer = NoisyChecker(false_positive=0.0).on_task(StepLetters())
    assert scored(scorer, [candidate("aa", finish=""), candidate("ab", finish="")])[0] == [1.0, 0.0]


def test_without_a_task_it_is_refused():
    with pytest.raises(UsageError, match=r"noisy-checker .* belongs to none"):
        NoisyChecker().on_task(None)
    with pytest.raises(UsageError, match="noisy-checker"):
        scored(NoisyChecker(), [candidate("aaa")])


@dataclass(frozen=True)
class UntilAccepted(Strategy):
    """Answers one after another, up to the first that is accepted."""

    attempts: int
    scores = True

    def search(self, start, rng):
        for attempt in range(self.attempts):
            answers = yield from write([start])
            (mark,) = yield from score(answers)
            if mark > 0.5:
                return Found(answers[0], weights=(float(attempt),))
        return Found(start)


def test_resampling_behind_it_follows_the_closed_form():
    law, task, runs, attempts = coin(chance := 0.3, length=2), Letters(), 600, 4
    found = []
    for seed in range(runs):
        # One question's errors are the same in all runs: as many seeds stand for many questions.
        noise = NoisyChecker(false_positive=0.25, false_negative=0.2, seed=seed)
        done = searched(UntilAccepted(attempts), law, scorer=noise.on_task(task), seed=seed)
        found.append(done.found.best.text)

    exact = Resampling((Kind(1.0, chance),), Verifier(0.8, 0.75))
    # Three standard errors of 600 runs.
    assert found.count("aa") / runs == pytest.approx(exact.right(attempts), abs=0.061)
    assert found.count("bb") / runs == pytest.approx(exact.wrong(attempts), abs=0.058)
    assert found.count("") / runs == pytest.approx(exact.nothing(attempts), abs=0.04)


def test_its_parameters_have_limits():
    built = catalogue.build("noisy-checker(false_positive=0.2, seed=3)", "scorers")
    assert built == NoisyChecker(false_positive=0.2, seed=3)
    with pytest.raises(UsageError, match="must be 0 to 1"):
        catalogue.build("noisy-checker(false_positive=1.2)", "scorers")
