"""Probes on the engine of this machine: outputs come free, and no answer changes."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch

from forethought.beliefs.probes.file import read
from forethought.contracts.backend import RequestOutcome
from forethought.contracts.candidates import Piece
from forethought.contracts.errors import UnsupportedModelError, UsageError
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.storage.replay_log import outcome_document, outcome_of
from tests.backends.local.prefix_server import Server, cold, told
from tests.beliefs.probes.probe_files import random_probe
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET

SIZE = TARGET.network.config.hidden
METHODS = [(), ("snapkv(keep=120)",), ("specpc-shallow(keep=150)",), ("speckv(keep=120)",),
           ("kvzip(keep=120)",), ("quantised-kv(bits=4)",)]  # fmt: skip
BEAM = "step-beam(width=2, n=2, depth=3, delimiter=e)"
WARM = {"max_tokens": 16, "temperature": 1.0}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probes")
    for kind in ("value-head", "p-ik"):
        random_probe(folder / kind, kind, TARGET.network.fingerprint, SIZE)
    return folder


@cache
def fresh_state(ids):
    """The final hidden state after the prompt and these tokens, from a pass without a cache."""
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    shown = FinalStates()
    batch = Batch(TARGET.network, Meter(lambda: 0.0), final=shown)
    batch.prefill(SequenceCache(len(TARGET.shape.layers)), [*prompt.tokens, *ids])
    return shown.last.double().tolist()


def value(one, probe):
    """The value of a candidate by a fresh pass: of the state that its last token came from."""
    ids = one.token_ids if one.finish == "stop" else one.token_ids[:-1]
    return probe.outputs(fresh_state(ids))


def test_the_state_is_what_the_logits_are_computed_from():
    shown = FinalStates()
    batch = Batch(TARGET.network, Meter(lambda: 0.0), final=shown)
    logits = batch.prefill(SequenceCache(len(TARGET.shape.layers)), [5, 6, 7])
    head = TARGET.network._tensors["head.weight"]

    assert shown.rows.shape == (1, SIZE)
    assert torch.allclose(shown.last @ head.T, logits.double(), atol=1e-6)


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("search", ["best-of-n(n=3)", BEAM])
def test_answers_with_a_probe_are_those_without_it_bit_by_bit(heads, methods, search):
    """best-of-n alone; a beam's choices follow its scorer, so only its first steps are equal."""
    scorer = f"value-head(probe='{heads}/value-head')"
    scored = cold(QUESTION, methods, search=search, scorer=scorer, **WARM)
    plain = cold(QUESTION, methods, search=search, scorer="likelihood", **WARM)
    every = {one.path: one for one in (*plain.found.considered, *plain.found.pruned)}
    both = [
        (one, every[one.path])
        for one in (*scored.found.considered, *scored.found.pruned)
        if one.path in every
    ]

    assert len(both) >= (3 if search != BEAM else 1)
    for one, other in both:
        assert one.token_ids == other.token_ids
        assert one.log_probability == other.log_probability
        assert one.probed
        assert not other.probed


@pytest.mark.parametrize("search", ["best-of-n(n=3)", BEAM])
def test_values_are_those_of_a_fresh_pass_in_any_batch(heads, search):
    probe = read(f"{heads}/value-head", "value-head")
    done = cold(QUESTION, search=search, scorer=f"value-head(probe='{heads}/value-head')", **WARM)
    found = [one for one in (*done.found.considered, *done.found.pruned) if one.tokens]

    assert len(found) >= 3
    for one in found:
        assert done.scores.get(one.identity, value(one, probe)[0]) == pytest.approx(
            value(one, probe)[0], abs=1e-6
        )
        assert probe.of(one) == pytest.approx(value(one, probe), abs=1e-6)
    assert len({probe.of(one) for one in found}) > 1


@pytest.mark.parametrize("methods", [(), ("snapkv(keep=120)",), ("kvzip(keep=120)",)])
def test_the_prompts_value_is_that_of_its_last_token_for_every_answer(heads, methods):
    probe = read(f"{heads}/p-ik", "p-ik")
    done = cold(QUESTION, methods, search=BEAM, scorer=f"p-ik(probe='{heads}/p-ik')", **WARM)
    expected = probe.outputs(fresh_state(()))

    assert done.scores
    assert all(one == pytest.approx(expected[0], abs=1e-6) for one in done.scores.values())
    assert len({one.outputs_of(probe.key) for one in done.found.considered}) == 1


def test_a_probe_runs_no_pass_and_is_charged_its_own_product(heads, monkeypatch):
    passes = []
    forward = Batch.forward

    def counted(self, *given, **named):
        passes.append(1)
        return forward(self, *given, **named)

    monkeypatch.setattr(Batch, "forward", counted)
    plain = cold(QUESTION, search="best-of-n(n=3)", scorer="likelihood", **WARM)
    without = len(passes)
    passes.clear()
    scorer = f"value-head(probe='{heads}/value-head')"
    scored = cold(QUESTION, search="best-of-n(n=3)", scorer=scorer, **WARM)

    assert len(passes) == without
    assert scored.cost.flops - plain.cost.flops == pytest.approx(3 * 2 * (SIZE + SIZE), rel=1e-9)
    assert scored.cost.scoring_tokens == 0


def test_values_behind_a_prefix_cache_and_in_company_are_the_same(heads):
    scorer = f"value-head(probe='{heads}/value-head')"
    settings = {"search": "best-of-n(n=3)", "scorer": scorer, **WARM}
    server, probe = Server(), read(f"{heads}/value-head", "value-head")
    alone = cold(QUESTION, **settings)
    first, second = server.ask(QUESTION, **settings), server.ask(QUESTION, **settings)

    assert second.cost.cached_tokens > 0
    for done in (first, second):
        assert told(done) == told(alone)
        for one, other in zip(done.found.considered, alone.found.considered, strict=True):
            assert probe.of(one) == pytest.approx(probe.of(other), abs=1e-6)


def test_a_probe_of_another_model_is_refused_before_anything_is_spent(heads, tmp_path):
    random_probe(tmp_path / "p", "value-head", "another", SIZE)
    with pytest.raises(UsageError, match="was fitted to another model than target"):
        cold(QUESTION, search="best-of-n(n=3)", scorer=f"value-head(probe='{tmp_path}/p')", **WARM)


def test_a_model_that_shows_no_states_is_refused(heads, monkeypatch):
    forward = type(TARGET.network).forward

    def silent(self, *given, final=None, **named):
        return forward(self, *given, **named)

    monkeypatch.setattr(type(TARGET.network), "forward", silent)
    with pytest.raises(UnsupportedModelError, match="shows no hidden states"):
        cold(QUESTION, search="best-of-n(n=3)", scorer=f"value-head(probe='{heads}/value-head')",
             **WARM)  # fmt: skip


def test_outputs_survive_the_replay_log(heads):
    done = cold(QUESTION, search="best-of-n(n=2)", scorer=f"value-head(probe='{heads}/value-head')",
                **WARM)  # fmt: skip
    one = done.found.considered[0]
    piece = Piece(one.text, one.token_ids, one.tokens, -1.0, "stop", probed=one.probed)
    whole = RequestOutcome("k", done.cost, piece, probed=one.probed)
    kept = outcome_of("k", json.loads(json.dumps(outcome_document(whole))))

    assert one.probed
    assert kept.probed == kept.piece.probed == one.probed


def test_a_resumed_run_takes_no_outcome_of_a_run_without_its_probe(heads, tmp_path):
    random_probe(tmp_path / "v", "value-head", TARGET.network.fingerprint, SIZE, seed=9)
    files = (tmp_path / "v", heads / "value-head")
    scorers = ["likelihood", *(f"value-head(probe='{file}')" for file in files)]
    jobs = [Server().job(QUESTION, search="best-of-n(n=2)", scorer=one, **WARM) for one in scorers]
    assert len({one.key_namespace for one in jobs}) == 3
