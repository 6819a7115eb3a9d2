"""The confidence of each decoded token, where a strategy or a confidence method asks for it."""

from __future__ import annotations

import pytest
import torch

from forethought.contracts.search import Found, Strategy, write
from forethought.methods.confidence.group_confidence import GroupConfidence
from forethought.methods.scoring.likelihood import Likelihood
from forethought.methods.search.majority_vote import MajorityVote
from tests.backends.local.test_local import Kept, local, searched
from tests.backends.local.test_readings import plain


class Steps(Strategy):
    """Two answers in pieces of four tokens."""

    needs = frozenset({"steps", "token-confidence"})

    def search(self, start, rng):
        ends = [start] * 2
        while not all(one.done for one in ends):
            ends = yield from write(ends, max_tokens=4)
        return Found(ends[0], tuple(ends))


def expected(one):
    """The mean negative log-probabilities of the 20 likeliest tokens, by one plain pass."""
    law, _, _ = plain(one.token_ids)
    return (-law.topk(20).values.mean(-1)).tolist()


@pytest.mark.parametrize("strategy", [Steps(), MajorityVote(n=2)])
def test_confidences_are_those_of_a_plain_pass_in_pieces_or_in_one(strategy):
    judged = {"group-confidence": GroupConfidence()}
    found = searched(strategy, local(), confidence=judged).found
    for one in found.considered:
        known = list(one.token_confidences)
        assert known[: one.tokens] == pytest.approx(expected(one), abs=1e-4)
        assert len(known) == one.tokens + (one.finish == "stop")


def test_reading_an_answer_again_gives_what_was_decoded():
    judged = {
        "decoded": GroupConfidence(measure="mean"),
        "read": GroupConfidence(measure="mean", reread=True),
    }
    done = searched(MajorityVote(n=2), local(), confidence=judged)
    decoded, read = done.found.estimates
    if done.found.best.finish == "length":  # an end token is decoded, and not read again
        assert decoded.value == pytest.approx(read.value, abs=1e-4)
    assert (decoded.cost.flops, read.cost.flops > 0) == (0.0, True)


def test_nothing_is_measured_unless_it_is_asked_for():
    found = searched(MajorityVote(n=2), local(), confidence={"likelihood": Likelihood()}).found
    assert {one.token_confidences for one in found.considered} == {None}


def test_a_replayed_run_has_the_same_confidences():
    kept, judged = Kept(), {"group-confidence": GroupConfidence()}
    first = searched(MajorityVote(n=2), local(), kept, confidence=judged).found
    asked = len(kept.outcomes)
    again = searched(MajorityVote(n=2), local(), kept, confidence=judged).found
    assert (again, len(kept.outcomes)) == (first, asked)
    # Without confidences the requests differ, so that none is answered by a piece that lacks them.
    searched(MajorityVote(n=2), local(), kept)
    assert len(kept.outcomes) == 2 * asked
    assert torch.isfinite(torch.tensor(first.best.token_confidences)).all()
