"""Attempts and hints, on laws that answer to what they are asked."""

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.search import Scorer, verdicts
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.sequential_revision import SequentialRevision
from tests.driver.searches import QUESTION, Rule, searched, three_steps


def pupil(question, text):
    """Wrong at first; right half of the time with a hint, seldom without."""
    if text:
        return {END: 1.0}
    if "A student gave" in question:
        return {"look at {x}": 1.0}
    right = 0.5 if "look at {x}" in question else 0.1 if "given before" in question else 0.0
    return {"gold": right, "lead": 0.6 * (1 - right), "zinc": 0.4 * (1 - right)}


def right(text):
    return float(text == "gold")


class Recorded(KnownBackend):
    """Keeps the questions that were asked."""

    def submit(self, request):
        self.__dict__.setdefault("questions", []).append(
            request.parent.question or request.question.text
        )
        super().submit(request)


def ran(strategy, rule=right, **settings):
    backend = Recorded(lambda q, t: {k: p for k, p in pupil(q, t).items() if p})
    return searched(strategy, backend=backend, scorer=Rule(rule), **settings), backend.questions


@pytest.mark.parametrize("seed", range(6))
def test_with_n_1_it_is_the_plain_answer(seed):
    found = searched(SequentialRevision(n=1), scorer=Rule(lambda text: 0.1), seed=seed).found
    assert found.best == searched(MajorityVote(n=1), seed=seed).found.best


def test_a_constant_score_leaves_the_plain_answer():
    for seed in range(6):
        found = searched(SequentialRevision(), scorer=Rule(lambda text: 0.1), seed=seed).found
        assert found.best == searched(MajorityVote(n=1), seed=seed).found.best
        assert len(found.considered) == 3


def test_more_attempts_are_right_as_often_as_the_law_says():
    def share(**settings):
        runs = [ran(SequentialRevision(**settings), seed=seed)[0] for seed in range(200)]
        return sum(one.found.best.text == "gold" for one in runs) / 200

    # Three deviations of 200 tosses are 0.11.
    assert share(n=1) == 0
    assert share(n=3) == pytest.approx(0.75, abs=0.11)
    assert share(n=3, hints=False) == pytest.approx(1 - 0.9**2, abs=0.1)


def test_nothing_is_tried_after_a_right_attempt_and_nothing_right_is_lost():
    for seed in range(20):
        found = ran(SequentialRevision(n=6), seed=seed)[0].found
        scores = [right(one.text) for one in found.considered]
        assert 1.0 not in scores[:-1]
        assert right(found.best.text) == max(scores)


def test_prompts_hold_the_question_and_all_attempts_in_order_and_no_answer_of_ours():
    done, questions = ran(SequentialRevision(n=4), lambda text: 0.2, seed=3)
    attempts = [one.text for one in done.found.considered]
    assert questions[0] == QUESTION.text
    assert len(questions) == 7
    for place, question in enumerate(questions[1:]):
        tried = attempts[: place // 2 + 1]
        assert QUESTION.text in question
        assert '"' not in question
        for number, text in enumerate(tried, 1):
            assert f"Attempt {number}:\n{text}\n" in question
        assert f"Attempt {len(tried) + 1}" not in question
        assert ("look at {x}" in question) == bool(place % 2)
    wrong, asked = ran(SequentialRevision(n=4), lambda text: 0.0, seed=3)
    if all(one.text != "gold" for one in wrong.found.considered):
        assert all("gold" not in question for question in asked)


def test_the_best_attempt_is_taken_not_the_last():
    def rule(text):
        return {"lead": 0.5, "zinc": 0.3, "gold": 0.4}[text]

    for seed in range(12):
        found = ran(SequentialRevision(n=5), rule, seed=seed)[0].found
        assert rule(found.best.text) == max(rule(one.text) for one in found.considered)
        first = next(one for one in found.considered if rule(one.text) == rule(found.best.text))
        assert found.best == first


def test_a_hint_is_never_the_answer():
    for budget in range(1, 12):
        done, _ = ran(SequentialRevision(n=6), lambda text: 0.1, budget=f"{budget}tok")
        assert done.cost.output_tokens <= budget
        assert done.found.best.text in ("lead", "zinc", "gold")
        # A token that may be the last is always written here, so that only what follows an
        # unfinished hint would be blank.
        assert all(one.text and "look" not in one.text for one in done.found.considered)


class Asked(Scorer):
    """A scorer that asks the model."""

    def score(self, question, candidates):
        chances = yield from verdicts([one.text for one in candidates], ("Yes", "No"))
        return [0.1 * yes for yes, _ in chances]


def test_a_hint_is_not_chosen_among_where_the_budget_ends_at_the_scorer():
    cut = 0
    for budget in range(8, 40):
        backend = KnownBackend(lambda q, t: {k: p for k, p in pupil(q, t).items() if p})
        backend.verdict_flops = 5.0
        strategy = SequentialRevision(n=9)
        done = searched(strategy, backend=backend, scorer=Asked(), budget=f"{budget}FLOP")
        assert all("look" not in one.text for one in done.found.considered)
        cut += bool(done.found.notes)
    assert cut


def test_without_hints_the_budget_ends_it_too():
    done, _ = ran(SequentialRevision(n=50, hints=False), lambda text: 0.1, budget="4tok")
    assert len(done.found.considered) <= 5
    assert done.found.best.text in ("lead", "zinc", "gold")


def test_the_document_is_asked_about_again():
    from dataclasses import replace

    asked = replace(QUESTION, document="A long story.")
    backend = Recorded(three_steps)
    searched(
        SequentialRevision(n=2, hints=False),
        backend=backend,
        scorer=Rule(lambda text: 0.0),
        question=asked,
    )
    assert backend.questions[1].startswith("A long story.\n\nWhat?\n")
