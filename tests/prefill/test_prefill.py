"""Reading a prompt with a look-ahead behind it: what is left is the prompt alone."""

from __future__ import annotations

import pytest
import torch

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.prefill.plan import PrefillPlan
from forethought.prefill.prefill import prefill
from tests.tiny import batch_of, tokens_of
from tests.tiny_model import tiny_model

LENGTH = 20


class KeepsThePrompt(Approximation):
    """Scores by a look-ahead; drops nothing of the prompt, in the layers it chooses for."""

    def __init__(self, layers):
        self.layers = layers

    def pays(self, prompt_length):
        return True

    def evicts(self):
        return True

    def uses_draft(self):
        return True

    def on_layer(self, view):
        if view.layer not in self.layers:
            return None
        return torch.arange(view.prompt_length - 1).expand(view.keys.shape[0], -1)


@pytest.mark.parametrize("layers", [(), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("guessed", [0, 1, 5])
def test_a_look_ahead_leaves_no_trace(layers, guessed):
    model, tokens = tiny_model(), tokens_of(LENGTH)
    decoder = model.network
    exact = SequenceCache(3)
    with torch.inference_mode():
        expected = batch_of(decoder).prefill(exact, tokens)
        prompt = Prompt(tuple(tokens), ((0, 1),) * LENGTH, "x").with_lookahead(
            tokens_of(guessed, seed=1)
        )

        found = prefill(
            batch_of(decoder), model, prompt, PrefillPlan((KeepsThePrompt(layers),)), LENGTH
        )
        after = batch_of(decoder).step([found.cache], [7])
        expected_after = batch_of(decoder).step([exact], [7])

    torch.testing.assert_close(found.logits, expected)
    torch.testing.assert_close(after, expected_after)
    assert found.cache.next == LENGTH + 1
    assert found.cache.lengths() == (LENGTH + 1,) * 3
    assert found.cache.head_positions(0, 2)[0].tolist() == [*range(LENGTH + 1)]
