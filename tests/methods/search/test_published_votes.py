"""Best of n, self-consistency and the vote over temperatures, against loops of their papers."""

from __future__ import annotations

from collections import Counter

import pytest

from forethought.backends.known import END
from forethought.methods.search.best_of_n import BestOfN
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.temperature_vote import TemperatureVote
from tests.driver.searches import Rule, searched


def letters(question, text):
    """One of five letters, of uneven probability, then perhaps an exclamation mark."""
    if not text:
        return {"a": 0.3, "b": 0.25, "c": 0.2, "d": 0.15, "e": 0.1}
    return {END: 0.6, "!": 0.4} if len(text) == 1 else {END: 1.0}


def score(text):
    """A score with ties, in another order than the probabilities."""
    return {"a": 0.2, "b": 0.7, "c": 0.7, "d": 0.5, "e": 0.6}[text[0]]


@pytest.mark.parametrize("seed", range(12))
def test_the_best_of_n_is_the_first_of_highest_score(seed):
    found = searched(BestOfN(n=6), letters, scorer=Rule(score), seed=seed).found

    best = found.considered[0]
    for one in found.considered[1:]:
        if score(one.text) > score(best.text):
            best = one
    assert len(found.considered) == 6
    assert found.best == best


@pytest.mark.parametrize("seed", range(12))
def test_the_most_frequent_of_all_answers_wins(seed):
    found = searched(MajorityVote(n=9), letters, seed=seed).found

    counts = {}
    for one in found.considered:
        counts[one.text] = counts.get(one.text, 0) + 1
    most = max(counts.values())
    first = next(one.text for one in found.considered if counts[one.text] == most)
    assert len(found.considered) == 9
    assert found.best.text == first
    assert found.confidence == most / 9


def sharp(question, text):
    """The letter a, nearly always."""
    return {END: 1.0} if text else {"a": 0.96, "b": 0.04}


@pytest.mark.parametrize("seed", range(8))
def test_sampling_stops_where_the_published_rule_stops(seed):
    """Each temperature agrees by 0.8 of its answers, and all agree with each other."""
    found = searched(TemperatureVote(n=91), sharp, seed=seed).found

    texts = [one.text for one in found.considered]
    arms = {0: texts[:1]}
    rest, rounds = texts[1:], []
    while rest:
        for arm in range(1, 10):
            few = min(4, 10 - len(arms.get(arm, [])))
            arms[arm] = arms.get(arm, []) + rest[:few]
            rest = rest[few:]
        leaders = []
        for said in arms.values():
            letter, count = Counter(said).most_common(1)[0]
            leaders.append(letter if count / len(said) >= 0.8 else None)
        rounds.append(None not in leaders and len(set(leaders)) == 1)
    assert not any(rounds[:-1])
    assert rounds[-1] or len(texts) == 91
    assert found.best.text == Counter(texts).most_common(1)[0][0]
