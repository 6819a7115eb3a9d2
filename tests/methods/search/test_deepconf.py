"""DeepConf on a law whose answers have stretches of doubt, against the published steps."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from forethought.backends.known import END, KnownBackend, confidence
from forethought.contracts.errors import UsageError
from forethought.methods.search.deepconf import DeepConf
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import searched
from tests.fast_cases import fast_each

WINDOW = 3


def doubtful(question, text):
    """Ten letters: after an x the next four are a guess, after an a they are nearly certain."""
    if len(text) == 10:
        return {END: 0.9, "z": 0.1} if text[0] == "a" else {END: 0.6, "z": 0.4}
    if len(text) > 10:
        return {END: 1.0}
    if not text:
        return {"a": 0.6, "x": 0.4}
    if "x" in text[-4:]:
        return {"b": 0.3, "c": 0.3, "d": 0.4}
    return {"b": 0.95, "x": 0.05}


def traces(count, seed=0):
    """The whole answers in their order, each with its token confidences."""
    found = searched(MajorityVote(n=count), doubtful, seed=seed).found.considered
    return [(one.text, confidences(one.text)) for one in found]


def confidences(text):
    return [confidence(doubtful("", text[:place])) for place in range(len(text) + 1)]


def groups(values):
    """The mean of each window; the plain mean of a shorter trace."""
    if len(values) < WINDOW:
        return [sum(values) / len(values)]
    return [sum(values[at : at + WINDOW]) / WINDOW for at in range(len(values) - WINDOW + 1)]


def published(answers, warmup, kept):
    """The weight of each answer's text, and the answers that are stopped, by the steps."""
    lowest = [min(groups(values)) for _, values in answers[:warmup]]
    threshold = float(np.percentile(lowest, 100 - 100 * kept)) - 1e-9
    weights, stopped = defaultdict(float), []
    for place, (text, values) in enumerate(answers):
        running = [sum(values[n - WINDOW : n]) / WINDOW for n in range(WINDOW, len(values))]
        if place >= warmup and any(mean < threshold for mean in running):
            stopped.append(text)
        elif place >= warmup or min(groups(values)) >= threshold:
            weights[text] += min(groups(values))
    return weights, stopped


def stops(text, pruned):
    return [one for one in pruned if text.startswith(one.text)]


@pytest.mark.parametrize("seed", fast_each(3, range(6)))
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_votes_and_stops_are_those_of_the_published_steps(kept, seed):
    search = DeepConf(n=24, warmup=6, kept=kept, window=WINDOW, check=2)
    found = searched(search, doubtful, seed=seed).found
    weights, stopped = published(traces(24, seed), 6, kept)

    assert len(found.pruned) == len(stopped)
    assert all(stops(text, found.pruned) for text in stopped)
    seen = defaultdict(float)
    for one, weight in zip(found.considered, found.weights, strict=True):
        seen[one.text] += weight
    assert {text: weight for text, weight in seen.items() if weight} == pytest.approx(weights)
    assert found.best.text == max(weights, key=lambda text: (weights[text], -len(text)))


def test_how_often_answers_are_checked_changes_no_vote_but_the_cost():
    runs = [
        searched(DeepConf(n=24, warmup=6, kept=0.3, window=WINDOW, check=check), doubtful)
        for check in (1, 4, 64)
    ]
    texts = [[one.text for one in run.found.considered] for run in runs]
    assert texts[0] == texts[1] == texts[2]
    assert len({run.found.best.text for run in runs}) == 1
    spent = [run.cost.output_tokens for run in runs]
    assert spent == sorted(spent)
    assert spent[0] < spent[2]


def test_a_threshold_of_minus_infinity_is_plain_sampling_token_for_token():
    # Windows longer than any answer never stop one.
    found = searched(DeepConf(n=12, warmup=4, window=99, check=2), doubtful, seed=3).found
    assert sorted(one.text for one in found.considered) == sorted(t for t, _ in traces(12, 3))
    assert found.pruned == ()


def test_one_answer_is_a_plain_sample():
    found = searched(DeepConf(n=1), doubtful, seed=5).found
    assert found.best == searched(MajorityVote(n=1), doubtful, seed=5).found.best or (
        found.best.text == traces(1, 5)[0][0]
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_smaller_threshold_stops_fewer(seed):
    def stopped(kept):
        search = DeepConf(n=30, warmup=8, kept=kept, window=WINDOW, check=2)
        return len(searched(search, doubtful, seed=seed).found.pruned)

    counts = [stopped(kept) for kept in (0.0, 0.3, 0.6, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_a_consensus_ends_the_search():
    def sure(question, text):
        return {END: 1.0} if text else {"a": 0.99, "b": 0.01}

    search = DeepConf(n=200, warmup=4, window=1, consensus=0.95, batch=4)
    assert searched(search, sure).written < 60
    assert searched(DeepConf(n=20, warmup=4, window=1), sure).written >= 20


def test_stopped_answers_and_the_warm_up_are_paid():
    done = searched(DeepConf(n=24, warmup=6, kept=0.1, window=WINDOW, check=1), doubtful)
    whole = sum(one.tokens for one in done.found.considered)
    cut = sum(one.tokens for one in done.found.pruned)
    assert cut
    assert done.cost.output_tokens == whole + cut


def test_a_spent_budget_still_elects_an_answer():
    search = DeepConf(n=50, warmup=3, window=WINDOW, check=4)
    done = searched(search, doubtful, budget="60tok")
    assert done.cost.output_tokens <= 60
    assert done.found.best.whole


def test_token_confidences_are_needed():
    backend = KnownBackend(doubtful)
    backend.abilities -= {"token-confidence"}
    with pytest.raises(UsageError, match="token-confidence"):
        searched(DeepConf(n=4), backend=backend)


def test_a_uniform_law_over_twenty_tokens_has_the_confidence_of_its_size():
    law = {chr(97 + n): 1 / 20 for n in range(20)}
    assert confidence(law) == pytest.approx(math.log(20))
