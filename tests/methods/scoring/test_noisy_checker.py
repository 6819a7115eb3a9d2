from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from forethought import catalogue
from forethought.backends.known import END
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.contracts.search import Found, Strategy, score, write
from forethought.methods.scoring.checker import Checker
from forethought.methods.scoring.noisy_checker import NoisyChecker
from forethought.numerics.verifiers import Kind, Resampling, Verifier
from tests.driver.searches import coin, searched
from tests.methods.scoring.toys import Letters, StepLetters, candidate, scored

LETTERS = "bcdefghijklmnopqrstuvwxyz"
MANY = [
    candidate(text)
    for n in range(2000)
    for text in ("aaa", "b" + LETTERS[n % 25] + LETTERS[n // 25 % 25] + LETTERS[n // 625])
]
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
    wrong = heard(false_positive=0.3)
    # Four standard errors of 2,000.
    assert wrong[WRONG].mean() == pytest.approx(0.3, abs=0.041)
    assert wrong[RIGHT].mean() == 1
    # A question has one right answer here, so as many seeds stand for many questions.
    right = [heard([candidate("aaa")], false_negative=0.1, seed=seed)[0] for seed in range(2000)]
    assert np.mean(right) == pytest.approx(0.9, abs=0.027)


def test_errors_do_not_depend_on_order_or_company():
    whole = heard(false_positive=0.5)
    order = list(range(len(MANY)))
    random.Random(1).shuffle(order)
    shuffled = heard([MANY[place] for place in order], false_positive=0.5)
    assert shuffled.tolist() == whole[order].tolist()
    assert heard([MANY[7]], false_positive=0.5)[0] == whole[7]


def test_equal_answers_get_equal_verdicts_wherever_they_come_from():
    for seed in range(20):
        alike = [
            candidate("Bb bb"),
            candidate("bb", "  bb\n"),
            candidate("bb bb", path=(7, 3)),
            candidate("BB BB ", question="Why?"),
        ]
        assert len({*heard(alike, false_positive=0.5, seed=seed)}) == 1


@dataclass(frozen=True)
class Stating(Letters):
    """Only what stands behind the last colon counts."""

    def check(self, question, answer):
        return super().check(question, self.stated(answer))

    def stated(self, answer):
        return answer.rpartition(":")[2].strip()


def test_the_task_says_what_an_answer_states():
    scorer = [NoisyChecker(false_positive=0.5, seed=seed).on_task(Stating()) for seed in range(40)]
    told = [scored(one, [candidate("x: b"), candidate("yy:b "), candidate("x: c")])[0]
            for one in scorer]  # fmt: skip
    assert all(first == second for first, second, _ in told)
    assert any(first != third for first, _, third in told)


def test_every_continuation_of_a_wrong_beginning_gets_its_verdict():
    told = []
    for seed in range(60):
        scorer = NoisyChecker(false_positive=0.5, seed=seed).on_task(StepLetters())
        grown = [
            candidate("aab", finish=""),
            candidate("aa", "bc", finish=""),
            candidate("aab", "\n", "aa", finish=""),
            candidate("aabbb"),
            candidate("a", "a", "b", "aa"),
        ]
        numbers = scored(scorer, [*grown, candidate("ab", finish="")])[0]
        verdicts = [one > 0.5 for one in numbers]  # `aabbb` is right in part
        assert len({*verdicts[:-1]}) == 1
        told.append((verdicts[0], verdicts[-1]))
    # Another wrong beginning has a verdict of its own.
    assert len({*told}) == 4


@dataclass(frozen=True)
class Sums(StepLetters):
    """Lines of sums; right is 1+1=2 in every line, and an unfinished line that begins so."""

    def check(self, question, answer):
        return self.promise(question, answer + "\n")

    def promise(self, question, text):
        *lines, last = text.split("\n")
        return float(all(one in ("1+1=2", "") for one in lines) and "1+1=2".startswith(last))


def test_the_first_wrong_sign_of_the_first_wrong_line_decides():
    for seed in range(30):
        scorer = NoisyChecker(false_positive=0.5, seed=seed).on_task(Sums())
        first = [
            candidate("1+1=2\n1+1=3", finish=""),
            candidate("1+1=2\n", "1+1=34\n", finish=""),
            candidate("1+1=2\n1+1=3\n1+1=2"),
            candidate("1+1=2\n1+1=3\n5+5=1"),
        ]
        assert len({*scored(scorer, first)[0]}) == 1
        # An answer that ends too early has no wrong beginning: it stands for itself.
        short = scored(scorer, [candidate("1+1"), candidate("1+1 ")])[0]
        assert short[0] == short[1]


@pytest.mark.parametrize("other", [{"seed": 1}, {"question": Question("r", "What?")}])
def test_another_seed_or_question_makes_errors_of_its_own(other):
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


def many_wrong(question, text):
    """a with probability 0.3, else one of 800 wrong answers."""
    if not text:
        return {"a": 0.3, **{f"b{n}": 0.7 / 800 for n in range(800)}}
    return {END: 1.0}


def resampled(law, attempts, runs=500):
    """Shares of right, wrong and no answers; a seed of errors stands for a question."""
    texts = []
    for seed in range(runs):
        noise = NoisyChecker(false_positive=0.25, false_negative=0.2, seed=seed)
        scorer = noise.on_task(Letters())
        texts.append(
            searched(UntilAccepted(attempts), law, scorer=scorer, seed=seed).found.best.text
        )
    right = sum(bool(text) and set(text) == {"a"} for text in texts) / runs
    nothing = texts.count("") / runs
    return right, 1 - right - nothing, nothing


def test_resampling_of_one_attempt_follows_the_closed_form():
    exact = Resampling((Kind(1.0, 0.3),), Verifier(0.8, 0.75))
    wanted = (exact.right(1), exact.wrong(1), exact.nothing(1))
    # Three standard errors of 500 runs.
    assert resampled(many_wrong, 1) == pytest.approx(wanted, abs=0.066)


def test_an_accepted_wrong_answer_is_accepted_again_and_a_rejected_one_never():
    # Both answers are accepted or rejected once and for all, so more attempts help less than
    # fresh errors would let them: the law over the four cases, written out.
    right, wrong, attempts = 0.3, 0.7, 6
    only_right, only_wrong, both = 0.8 * 0.75, 0.2 * 0.25, 0.8 * 0.25
    accepted = only_right * (1 - wrong**attempts) + both * right
    mistaken = only_wrong * (1 - right**attempts) + both * wrong
    found = resampled(coin(right, length=2), attempts)
    assert found == pytest.approx((accepted, mistaken, 1 - accepted - mistaken), abs=0.066)
    fresh = Resampling((Kind(1.0, right),), Verifier(0.8, 0.75))
    assert abs(found[2] - fresh.nothing(attempts)) > 0.066


def test_its_parameters_have_limits():
    built = catalogue.build("noisy-checker(false_positive=0.2, seed=3)", "scorers")
    assert built == NoisyChecker(false_positive=0.2, seed=3)
    with pytest.raises(UsageError, match="must be 0 to 1"):
        catalogue.build("noisy-checker(false_positive=1.2)", "scorers")
