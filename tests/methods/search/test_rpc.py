"""Perplexity consistency on finite laws of paths."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from forethought.backends.known import END
from forethought.contracts.search import Candidate
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.rpc import RPC
from tests.driver.searches import searched, three_steps
from tests.numerics.test_weibull import transcribed


@dataclass(frozen=True)
class LastLetter:
    """What a path comes to, wherever it ends; ? is no answer."""

    def group(self, candidates):
        known = {}
        said = [one.text[-1:] if one.whole else "" for one in candidates]
        return [
            None if letter in ("", "?") else known.setdefault(letter, len(known)) for letter in said
        ]


def paths(chances):
    """A law of whole texts, a token each; the end has no chance of its own behind one token."""

    def law(question, text):
        return {END: 1.0} if text else chances

    return law


def random_paths(seed, size=60, answers="abcdefgh"):
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(size, 0.5))
    said = rng.choice(list(answers), size)
    return {f"{n} {letter}": float(p) for n, (p, letter) in enumerate(zip(chances, said))}  # noqa: B905


def mode(chances):
    totals = Counter()
    for text, chance in chances.items():
        totals[text[-1]] += chance
    return totals.most_common(1)[0][0]


def found(strategy, chances, **settings):
    return searched(strategy, paths(chances), reader=LastLetter(), max_tokens=1, **settings).found


@pytest.mark.parametrize("seed", range(6))
def test_with_n_1_it_is_the_plain_answer(seed):
    assert (
        searched(RPC(n=1), seed=seed).found.best
        == searched(MajorityVote(n=1), seed=seed).found.best
    )


@pytest.mark.parametrize(
    ("n", "times"), [(8, 2), pytest.param(16, 2, marks=pytest.mark.slow), (32, 1)]
)
def test_as_many_answers_or_half_of_them_find_the_mode_as_often_as_a_vote(n, times):
    laws = [random_paths(seed) for seed in range(100)]

    def told(strategy):
        return [found(strategy, law, seed=seed) for seed, law in enumerate(laws)]

    def hits(searches):
        return sum(one.best.text[-1] == mode(law) for one, law in zip(searches, laws, strict=True))

    # Few answers are not pruned: twice as many would be needed for the fit.
    half = told(RPC(n=n, prune_from=32))
    # Of a hundred, up to two may be decided by the draw.
    assert hits(half) >= hits(told(MajorityVote(n=times * n))) - 2
    assert (sum(bool(one.pruned) for one in half) > 75) == (n == 32)


def transcribed_vote(texts, chances, said, settings):
    """The method as it is written down: the sums by answer, and the texts that are pruned."""
    if settings.get("prune_by") == "texts":
        fitted = [text for text in dict.fromkeys(texts) if said[text] is not None]
    else:
        fitted = list(texts)
    enough = len(fitted) >= settings.get("prune_from", 1)
    low = transcribed(np.array([chances[text] for text in fitted])) if enough else []
    out = {text for text, pruned in zip(fitted, low, strict=False) if pruned}
    sums = {}
    for text in dict.fromkeys(texts):
        if said[text] is not None:
            sums.setdefault(said[text], 0.0)
            sums[said[text]] += 0.0 if text in out else chances[text]
    return sums, out


def served(n, texts, chances, said, settings):
    """What the strategy makes of samples that somebody else has drawn."""
    drawn = [
        Candidate((k,), steps=(text,), tokens=1, log_probability=math.log(chances[text]),
                  finish="stop")
        for k, text in enumerate(texts)
    ]  # fmt: skip
    search = RPC(n=n, **settings).search(Candidate(), np.random.default_rng(0))
    next(search)
    search.send(drawn)
    with pytest.raises(StopIteration) as ended:
        search.send([said[text] for text in texts])
    return ended.value.value


def agreed(count, **settings):
    """Of random sets of samples, whether the strategy decides each as it is written down."""
    rng = np.random.default_rng(7)
    for _ in range(count):
        n = int(rng.integers(2, 65))
        pool = [f"path {k}" for k in range(int(rng.integers(2, 90)))]
        chances = dict(
            zip(pool, rng.beta(*rng.uniform(0.5, 8, 2), len(pool)).tolist(), strict=True)
        )
        # One in six texts states no answer.
        said = {text: int(rng.integers(0, 6)) or None for text in pool}
        texts = [str(text) for text in rng.choice(pool, n)]
        sums, out = transcribed_vote(texts, chances, said, settings)
        whole = math.fsum(sums.values())
        found = served(n, texts, chances, said, settings)
        if not whole:  # everything that states an answer is pruned: a majority vote
            yield {one.text for one in found.pruned} == out
            continue
        yield (
            {one.text for one in found.pruned} == out
            and sums[said[found.best.text]] == pytest.approx(max(sums.values()))
            and found.confidence == pytest.approx(max(sums.values()) / whole)
        )


OURS = {"prune_by": "texts", "prune_from": 16}


@pytest.mark.parametrize("settings", [{}, OURS])
def test_what_wins_is_what_the_method_says(settings):
    assert all(agreed(25, **settings))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, OURS])
def test_a_thousand_sets_are_decided_as_the_method_says(settings):
    # There are several valleys: two ways of rounding may, seldom, end in different ones.
    assert sum(agreed(1000, **settings)) >= 990


def test_every_sample_counts_in_the_fit_and_the_mean_as_published():
    # Likely texts that were drawn four times lift the mean of samples to 0.77; that of texts is
    # 0.57.
    chances = {f"{n} a": 0.88 + n / 200 for n in range(8)}
    chances |= {"8 a": 0.6, **{f"{n} b": 0.2 + n / 100 for n in range(8)}}
    texts = [text for text in chances for _ in range(4 if chances[text] > 0.8 else 1)]
    said = {text: text[-1] for text in chances}
    by_samples, by_texts = (
        {one.text for one in served(len(texts), texts, chances, said, settings).pruned}
        for settings in ({}, {"prune_by": "texts"})
    )
    assert by_samples == by_texts | {"8 a"}
    assert "8 a" not in by_texts


def test_a_text_that_was_drawn_twice_counts_once():
    chances = {"1 a": 0.5, "2 b": 0.3, "3 b": 0.2}
    for seed in range(6):
        told = found(RPC(n=60, prune_from=61), chances, seed=seed)
        weights = dict.fromkeys(chances, 0.0)
        for one, weight in zip(told.considered, told.weights, strict=True):
            weights[one.text] += weight
        assert weights == pytest.approx(chances)
        assert told.confidence == pytest.approx(0.5)


def test_texts_that_are_equally_likely_are_a_vote_of_the_different_ones():
    chances = {f"{n} {letter}": 1 / 30 for n, letter in enumerate("a" * 14 + "b" * 16)}
    for seed in range(6):
        told = found(RPC(n=20, prune_from=2), chances, seed=seed)
        different = {one.text for one in told.considered}
        counts = Counter(text[-1] for text in different)
        assert not told.pruned
        assert counts[told.best.text[-1]] == max(counts.values())
        assert told.confidence == pytest.approx(max(counts.values()) / len(different))


def two_kinds():
    """Nine likely texts that say a, and very many unlikely ones that say b."""
    likely = {f"{n} a": 0.1 - n / 1000 for n in range(9)}
    left = (1 - sum(likely.values())) / 300
    return likely | {f"u{n} b": left for n in range(300)}


def test_unlikely_texts_are_dropped_and_listed():
    for seed in range(4):
        told = found(RPC(n=60, prune_from=12), two_kinds(), seed=seed)
        assert {one.text[-1] for one in told.pruned} == {"b"}
        assert {one.text[-1] for one in told.considered} == {"a"}
        assert told.confidence == 1.0
        assert len(told.pruned) + len(told.considered) == 60


@pytest.mark.parametrize("by", ["samples", "texts"])
def test_few_texts_are_not_pruned(by):
    told = found(RPC(n=60, prune_by=by, prune_from=61), two_kinds())
    assert not told.pruned
    assert {one.text[-1] for one in told.considered} == {"a", "b"}


def test_texts_that_say_nothing_tell_nothing_of_those_that_do():
    silent = {text.replace("b", "?"): chance for text, chance in two_kinds().items()}
    told = found(RPC(n=60, prune_by="texts", prune_from=12), silent)
    assert not told.pruned
    assert len({one.text for one in told.considered if "?" in one.text}) > 3


def test_what_says_nothing_never_wins():
    chances = {"1 ?": 0.8, "2 a": 0.1, "3 b": 0.1}
    for seed in range(6):
        told = found(RPC(n=12), chances, seed=seed)
        if any(one.text[-1] != "?" for one in told.considered):
            assert told.best.text[-1] != "?"
            assert told.confidence >= 0.5


def test_chances_too_small_to_be_told_from_0_are_a_vote():
    told = [Candidate((n,), steps=(text,), tokens=1, log_probability=-9999.0, finish="stop")
            for n, text in enumerate(["1 a", "2 b", "3 b", "3 b"])]  # fmt: skip
    search = RPC(n=4).search(Candidate(), np.random.default_rng(0))
    next(search)
    search.send(told)
    with pytest.raises(StopIteration) as ended:
        search.send([0, 1, 1, 1])
    assert ended.value.value.best.text == "2 b"
    assert ended.value.value.confidence == 0.75


def test_likelier_answers_win():
    # By tokens' mean: a path of twenty likely tokens is not less likely than one of two.
    def law(question, text):
        if not text:
            return {"x": 0.5, "y": 0.5}
        if len(text) == (20 if text[0] == "x" else 2):
            return {END: 1.0}
        return {text[0]: 0.9, "z": 0.1} if text[-1] != "z" else {END: 1.0}

    told = searched(RPC(n=40), law).found
    assert told.best.text == "x" * 20


def test_the_budget_ends_it_with_a_whole_answer():
    for budget in range(1, 30):
        done = searched(RPC(n=5), three_steps, budget=f"{budget}tok", seed=budget)
        assert done.cost.output_tokens <= budget
        if any(one.finish == "stop" for one in done.found.considered):
            assert done.found.best.finish == "stop"
