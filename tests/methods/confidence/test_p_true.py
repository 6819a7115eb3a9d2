from __future__ import annotations

from forethought.backends.known import KnownBackend
from forethought.contracts.search import Verdict
from forethought.driver.driver import Driver
from forethought.methods.confidence.p_true import PTrue
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import coin, job
from tests.methods.confidence.saying import answer, said


def prompt(samples, count):
    value, (ask,) = said(PTrue(samples=count), answer(" b\n"), samples, [[(0.8, 0.2)]])
    assert isinstance(ask, Verdict)
    assert (value, ask.choices) == (0.8, ("A", "B"))
    (text,) = ask.questions
    return text


def test_without_samples_the_prompt_holds_the_answer_alone():
    text = prompt([], 0)
    assert text == (
        "Question: Letters are listed.\n\nWhich letter?\n\nPossible answer: b\n\n"
        "Is the possible answer right?\n(A) True\n(B) False\n\n"
        "Reply with A or B, and nothing else."
    )
    assert prompt([answer("c", 1)], 0) == text


def test_the_answer_stands_among_the_shown_samples():
    text = prompt([answer("c", 1), answer("d", 2), answer("e", 3)], 2)
    assert "Some answers:\n- c\n- d\n- b\n\nPossible answer: b\n" in text


def test_missing_samples_are_drawn_and_shown():
    fresh = [answer("x", 7), answer("y", 8)]
    replies = [fresh, [(0.6, 0.4)]]
    value, (write, verdict) = said(PTrue(samples=3), answer("b"), [answer("c", 1)], replies)
    assert (value, len(write.parents), write.temperature) == (0.6, 2, 1.0)
    assert "- c\n- x\n- y\n- b\n" in verdict.questions[0]


def test_the_value_is_the_probability_of_the_option_true():
    def opinion(question, choices):
        assert question.index("(A) True") < question.index("(B) False")
        return (0.7, 0.3)

    backend = KnownBackend(coin(0.7), opinion=opinion)
    asked = job(MajorityVote(n=2), confidence={"p-true": PTrue(samples=0)})
    (done,) = Driver(backend).run([asked])
    (told,) = done.found.estimates
    assert told.value == 0.7


def test_the_run_pays_for_samples_and_verdict():
    backend = KnownBackend(coin(0.7), verdict_flops=2.0)
    asked = job(MajorityVote(n=2), confidence={"p-true": PTrue(samples=3)})
    (done,) = Driver(backend).run([asked])
    (told,) = done.found.estimates
    # One of the search's two answers is shown, and two of three tokens each are drawn.
    assert (told.cost.output_tokens, told.cost.flops) == (6, 6 + 2.0)
    assert done.cost.flops == 6 + 6 + 2.0
