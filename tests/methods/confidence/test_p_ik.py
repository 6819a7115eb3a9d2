"""P(IK): one number for a question, whatever its answers."""

from __future__ import annotations

from forethought.backends.known import KnownBackend
from forethought.contracts.candidates import ProbeOutput
from forethought.methods.confidence.p_ik import PIk
from tests.beliefs.probes.probe_files import random_probe
from tests.driver.searches import searched, three_steps
from tests.methods.scoring.toys import Best


def test_every_answer_has_the_number_of_its_prompt(tmp_path):
    key = random_probe(tmp_path / "p", "p-ik", "net", 4)
    scorer = PIk(str(tmp_path / "p"), key)
    backend = KnownBackend(
        three_steps,
        probe=lambda text: (ProbeOutput(key, (0.25,)),),
        abilities=frozenset({"probes"}),
    )
    done = searched(Best(3), backend=backend, scorer=scorer)

    assert [probe.at_prompt for probe in scorer.probes] == [True]
    assert done.found.weights == (0.25,) * 3
    assert done.cost.scoring_tokens == 0
