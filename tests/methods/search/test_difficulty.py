"""Answers by the class of a question, on laws whose classes are known."""

from __future__ import annotations

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.candidates import ProbeOutput
from forethought.contracts.search import Found, Strategy, write
from forethought.methods.search.difficulty import PromptDifficulty
from tests.beliefs.probes.probe_files import random_probe
from tests.driver.searches import searched


@pytest.fixture
def head(tmp_path):
    return str(tmp_path / "d"), random_probe(tmp_path / "d", "difficulty", "net", 4)


def letters(question, text):
    """Letters without end, by the last word of the question."""
    return {question.split()[-1][0]: 0.7, "x": 0.3} if len(text) < 25 else {END: 1.0}


def ran(head, chances, seed=0, **settings):
    file, key = head
    backend = KnownBackend(
        letters,
        probe=lambda text: (ProbeOutput(key, chances),),
        abilities=frozenset({"probes"}),
    )
    strategy = PromptDifficulty(file, digest=key, longest=20, **settings)
    return backend, searched(strategy, backend=backend, seed=seed)


@pytest.mark.parametrize(
    ("chances", "name", "tokens", "warmth"),
    [
        ((0.8, 0.1, 0.1), "easy", 8, 0.5),
        ((0.1, 0.8, 0.1), "normal", 20, 0.8),
        ((0.1, 0.1, 0.8), "hard", 10, 0.4),
    ],
)
def test_each_class_has_its_length_and_temperature(head, chances, name, tokens, warmth):
    _, done = ran(head, chances)
    (note,) = done.found.notes

    assert done.found.best.tokens == tokens
    assert note == (
        f"difficulty: {name} (0.80, not calibrated); temperature {warmth:g}, at most {tokens} "
        "tokens"
    )
    assert done.found.best.question.startswith("What?\n\n")


def test_normal_questions_are_one_sample_of_the_normal_instructions(head):
    class Normal(Strategy):
        def search(self, start, rng):
            asked = f"{start.asked}\n\nSolve this step by step."
            one = type(start)(question=asked, asked=start.asked)
            (found,) = yield from write([one], temperature=0.8, max_tokens=20)
            return Found(found, (found,))

    for seed in range(4):
        _, done = ran(head, (0.0, 1.0, 0.0), seed)
        plain = searched(Normal(), letters, seed=seed)
        assert done.found.best.text == plain.found.best.text


def test_the_question_alone_is_read_once(head):
    backend, done = ran(head, (0.0, 1.0, 0.0))
    assert len(backend.asked) == 2
    assert done.written == 1
