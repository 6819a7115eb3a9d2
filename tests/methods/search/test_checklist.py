"""One look at all answers, by judges that are known."""

from string import ascii_uppercase

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.methods.search.checklist import Checklist
from forethought.methods.search.greedy import Greedy
from tests.driver.searches import QUESTION, searched

ANSWERS = {"dull": 0.4, "fine": 0.3, "best {0}": 0.2, "poor": 0.1}


def law(question, text):
    if text == "1.":
        return {" Be kind.": 1.0}
    if text:
        return {END: 1.0}
    return {"1.": 1.0} if "Write a short checklist" in question else ANSWERS


def shown(page):
    """The answers of a page, by letter."""
    listed = page.split("answers:\n\n")[1].split("\n\nWhich answer")[0]
    return [part.split(":\n")[1] for part in listed.split("\n\n")]


class Judge:
    def __init__(self, liked, sure=1.0, first=0.0):
        self.liked, self.sure, self.first, self.pages = liked, sure, first, []

    def __call__(self, page, choices):
        self.pages.append(page)
        answers = shown(page)
        assert choices == tuple(ascii_uppercase[: len(answers)])
        assert len(set(answers)) == len(answers)
        votes = [0.001 + self.sure * (one == self.liked) for one in answers]
        votes[0] += self.first
        return tuple(vote / sum(votes) for vote in votes)


def ran(judge, seed=0, budget="", **settings):
    settings = {"n": 6, "temperature": 1.0} | settings
    backend = KnownBackend(law, opinion=judge, verdict_flops=1.0)
    return searched(Checklist(**settings), backend=backend, seed=seed, budget=budget)


def test_with_n_1_it_is_the_greedy_answer_and_nothing_is_judged():
    judge = Judge("poor")
    assert ran(judge, n=1).found.best == searched(Greedy(), law).found.best
    assert not judge.pages


def test_what_the_judge_likes_is_taken():
    hits = 0
    for seed in range(12):
        found = ran(Judge("best {0}"), seed).found
        liked = [one for one in found.considered if one.text == "best {0}"]
        assert not liked or found.best == liked[0]
        hits += bool(liked)
    assert hits > 5


def test_a_judge_that_likes_none_leaves_the_greedy_answer():
    for seed in range(6):
        assert ran(Judge("none of them"), seed, orders=4).found.best.text != "poor"
    even = lambda page, choices: (1 / len(choices),) * len(choices)  # noqa: E731
    for seed in range(6):
        found = ran(even, seed).found
        assert found.best == found.considered[0]


def test_pages_show_the_question_the_checklist_and_every_text_once_in_orders_of_chance():
    judge = Judge("best {0}")
    found = ran(judge, orders=3).found
    texts = {one.text for one in found.considered}
    assert len(judge.pages) == 3
    for page in judge.pages:
        assert QUESTION.text in page
        assert "1. Be kind." in page
        assert set(shown(page)) == texts
    assert len({tuple(shown(page)) for page in judge.pages}) > 1
    assert sum(found.weights) == pytest.approx(1.0)


def test_a_preference_for_what_stands_first_is_averaged_out():
    def hits(orders):
        judge = Judge("best {0}", sure=0.9, first=1.0)
        found = [ran(judge, seed, orders=orders, n=12).found for seed in range(20)]
        return sum(one.best.text == "best {0}" for one in found)

    assert hits(12) >= 18
    assert hits(1) <= 12


def test_a_checklist_is_never_the_answer():
    for budget in [f"{n}tok" for n in range(1, 16)] + [f"{n}FLOP" for n in range(1, 20)]:
        judge = Judge("poor")
        done = ran(judge, budget=budget)
        assert all("1. Be kind." in page for page in judge.pages)
        assert judge.pages or done.found.best.text != "poor"
        assert done.found.best.text in ANSWERS
        assert all(one.text in (*ANSWERS, "") for one in done.found.considered)
        whole = {one.text for one in done.found.considered if one.whole}
        assert bool(done.found.notes) == (len(whole) > 1 and len(judge.pages) < 2)


def dear(judge, budget, orders=2, seed=0):
    backend = KnownBackend(law, opinion=judge, verdict_flops=10.0)
    strategy = Checklist(n=6, temperature=1.0, orders=orders)
    return searched(strategy, backend=backend, seed=seed, budget=f"{budget}FLOP")


def test_as_many_orders_are_shown_as_the_budget_covers():
    free = [ran(Judge("best {0}"), seed, orders=3).found for seed in range(8)]
    for seed, whole in enumerate(free):
        judge = Judge("best {0}")
        done = dear(judge, 30, orders=3, seed=seed)
        assert len(judge.pages) == 2
        assert done.budget_spent
        assert done.found.notes == ("the budget covered 2 of 3 looks at the answers",)
        assert sum(done.found.weights) == pytest.approx(1.0)
        assert done.found.considered == whole.considered
        assert done.found.best.text == whole.best.text


def test_where_no_page_can_be_paid_it_is_the_greedy_answer():
    for seed in range(8):
        done = dear(Judge("poor"), 17, seed=seed)
        assert done.found.best == done.found.considered[0]
        assert done.found.notes == ("the budget covered 0 of 2 looks at the answers",)
