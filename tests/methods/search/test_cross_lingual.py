"""Answers that are compared with those in another language, by judges that are known."""

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.questions import Question
from forethought.methods.search.cross_lingual import CrossLingual
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.hedged import Hedged
from tests.driver.searches import searched

QUESTION = Question("q", "Quelle est la réponse ?")

MEANS = {"oui": "yes", "ouais": "yes", "non": "no", "yes": "yes", "no": "no"}


def law(question, text):
    if text:
        return {END: 1.0}
    if "Answer in English" in question:
        return {"yes": 1.0}
    return {"non": 0.4, "oui": 0.3, "ouais": 0.3}


class Judge:
    def __init__(self):
        self.pages = []

    def __call__(self, page, choices):
        assert choices == ("Yes", "No")
        assert QUESTION.text in page
        self.pages.append(page)
        yes = 0.1 + 0.8 * (len({MEANS[one] for one in pair(page)}) == 1)
        return (yes, 1 - yes)


def pair(page):
    first = page.split("One answer to it:\n")[1].split("\n")[0]
    return first, page.split("another language:\n")[1].split("\n")[0]


def ran(judge, seed=0, budget="", **settings):
    settings = {"n": 5, "temperature": 1.0} | settings
    backend = KnownBackend(law, opinion=judge, verdict_flops=1.0)
    strategy = CrossLingual(**settings)
    return searched(strategy, backend=backend, seed=seed, budget=budget, question=QUESTION)


def utilities(texts, beside):
    def same(one, other):
        return 1.0 if one == other else 0.9 if MEANS[one] == MEANS[other] else 0.1

    return [
        sum(same(one, other) for other in [*texts[:n], *texts[n + 1 :], *beside])
        / (len(texts) - 1 + len(beside))
        for n, one in enumerate(texts)
    ]


@pytest.mark.parametrize("evidence", [0, 1, 3])
def test_agreement_is_with_the_others_and_the_evidence(evidence):
    for seed in range(8):
        found = ran(Judge(), seed, evidence=evidence).found
        expected = utilities([one.text for one in found.considered], ["yes"] * evidence)
        assert found.weights == pytest.approx(expected)
        assert found.best == found.considered[expected.index(max(expected))]


def test_with_n_1_it_is_the_greedy_answer():
    assert ran(Judge(), n=1).found.best == searched(Greedy(), law, question=QUESTION).found.best
    assert (
        ran(Judge(), n=1, evidence=0).found.best
        == searched(Greedy(), law, question=QUESTION).found.best
    )


def test_evidence_decides_and_is_never_taken():
    def share(evidence):
        found = [ran(Judge(), seed, evidence=evidence, n=3).found for seed in range(30)]
        assert {one.best.text for one in found} <= {"oui", "ouais", "non"}
        mixed = [one for one in found if len({MEANS[c.text] for c in one.considered}) == 2]
        return sum(MEANS[one.best.text] == "yes" for one in mixed) / len(mixed)

    assert share(4) == 1.0
    assert share(0) < 0.9


def test_every_two_texts_are_compared_once():
    judge = Judge()
    found = ran(judge, n=12, evidence=5).found
    different = {one.text for one in found.considered}
    size = len(different)
    assert len(judge.pages) == size * (size - 1) / 2 + size
    assert len({frozenset(pair(page)) for page in judge.pages}) == len(judge.pages)


def test_the_budget_ends_it_and_evidence_is_not_the_answer():
    for budget in [f"{n}tok" for n in range(1, 20)] + [f"{n}FLOP" for n in range(1, 24)]:
        done = ran(Judge(), budget=budget)
        assert done.found.best.text in ("oui", "ouais", "non")
        if any(one.finish == "budget" for one in done.found.considered):
            assert done.written == len(done.found.considered)


def test_where_no_comparison_can_be_paid_letters_in_common_decide():
    hits = set()
    for seed in range(12):
        backend = KnownBackend(law, opinion=Judge(), verdict_flops=10.0)
        strategy = CrossLingual(n=5, temperature=1.0, evidence=1)
        done = searched(strategy, backend=backend, seed=seed, budget="10FLOP", question=QUESTION)
        hedged = Hedged(n=5, temperature=1.0)
        found = done.found
        alike = searched(hedged, law, seed=seed, question=QUESTION).found
        assert found.considered == alike.considered
        assert (found.best, found.weights) == (alike.best, alike.weights)
        assert "before the candidates were judged" in found.notes[0]
        hits.add(found.best.text)
    assert len(hits) > 1


@pytest.mark.parametrize(
    ("question", "settings", "language"),
    [
        ("Quelle est la réponse ?", {}, "English"),
        ("多少钱?", {}, "English"),
        ("What is the answer?", {}, "Chinese"),
        ("What is the answer?", {"language": "German"}, "German"),
    ],
)
def test_evidence_comes_from_another_language_than_the_prompt(question, settings, language):
    asked = []

    def law(prompt, text):
        asked.append(prompt)
        return {END: 1.0} if text else {"1": 1.0}

    searched(CrossLingual(n=2, **settings), law, question=Question("q", question))
    assert {one for one in asked if "Answer in" in one} == {f"{question}\n\nAnswer in {language}."}


def test_evidence_in_the_wrong_language_does_not_count():
    def law(prompt, text):
        if text:
            return {END: 1.0}
        if "Answer in" not in prompt:
            return {"non": 0.4, "oui": 0.6}
        return {"that is yes": 0.5, "la réponse est non": 0.5}

    MEANS.update({"that is yes": "yes", "la réponse est non": "no"})
    told = 0
    for seed in range(12):
        judge = Judge()
        backend = KnownBackend(law, opinion=judge)
        strategy = CrossLingual(n=3, temperature=1.0, evidence=4)
        found = searched(strategy, backend=backend, seed=seed, question=QUESTION).found
        assert not any("la réponse est non" in page for page in judge.pages)
        told += any("answers for comparison are not in English" in note for note in found.notes)
    assert told > 8
