"""The value of beginnings, on laws whose values are known."""

from __future__ import annotations

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.candidates import ProbeOutput
from forethought.contracts.errors import BadDataError, UsageError
from forethought.methods.scoring.value_head import ValueHead
from forethought.methods.search.step_beam import StepBeam
from tests.beliefs.probes.probe_files import random_probe
from tests.driver.searches import searched, three_steps
from tests.methods.scoring.toys import Best, candidate, scored

SKILLS = {"steps", "log-probabilities", "probes"}


@pytest.fixture
def head(tmp_path):
    key = random_probe(tmp_path / "v", "value-head", "net", 4)
    return ValueHead(str(tmp_path / "v"), key)


def backend(head, value):
    (probe,) = head.probes

    def outputs(text):
        return (ProbeOutput(probe.key, (value(text),)),)

    return KnownBackend(three_steps, probe=outputs, abilities=frozenset(SKILLS))


def share_of_a(text):
    letters = text.replace("\n", "")
    return letters.count("a") / max(1, len(letters))


def test_a_beam_follows_the_values_that_pieces_bring_along(head):
    for seed in range(5):
        beam = StepBeam(width=2, n=6, delimiter="\n")
        done = searched(beam, backend=backend(head, share_of_a), scorer=head, seed=seed)
        every = (*done.found.considered, *done.found.pruned)
        assert done.found.best.text == "a\na\na\n"
        assert all(done.scores[one.identity] == share_of_a(one.text) for one in every
                   if one.identity in done.scores)  # fmt: skip


def test_an_equal_value_chooses_as_an_equal_score_does(head):
    done = searched(Best(4), backend=backend(head, lambda text: 0.5), scorer=head)
    assert done.found.weights == (0.5,) * 4
    assert done.found.best == done.found.considered[0]


def test_it_asks_for_nothing(head):
    (probe,) = head.probes
    with pytest.raises(UsageError, match="carries no output of the probe"):
        scored(head, [candidate("a")])
    assert scored(head, []) == ([], [])
    assert head.needs == {"probes"}
    assert probe.key == head.digest


def test_a_server_without_hidden_states_is_refused(head):
    with pytest.raises(UsageError, match="the search needs probes, which"):
        searched(Best(4), backend=KnownBackend(three_steps), scorer=head)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadDataError, match="No such file"):
        _ = ValueHead(str(tmp_path / "none")).probes
