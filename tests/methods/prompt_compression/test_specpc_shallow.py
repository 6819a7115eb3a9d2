import pytest
import torch

from forethought.methods.prompt_compression.specpc import SpecPC
from forethought.methods.prompt_compression.specpc_shallow import SpecPCShallow
from tests.methods.reference import TinyDraft, attention_matrices, prompt_of, specpc_keep
from tests.tiny import tiny_decoder, tokens_of

LENGTH = 150


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3, num_hidden_layers=5)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


class SpannedDraft(TinyDraft):
    """A draft whose layers 1 and 2 fit."""

    def __init__(self, decoder):
        super().__init__(decoder)
        self.layer_span = (1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_layers_that_fit_the_draft_score_by_a_kernel_that_fits_the_budget(decoder, seed):
    tokens = tokens_of(LENGTH, seed)

    kept = SpecPCShallow(keep=90, window=8).on_prompt(prompt_of(tokens), SpannedDraft(decoder), 16)

    matrices = attention_matrices(decoder, tokens)[:3]
    expected = specpc_keep(matrices, LENGTH, [], budget=90, window=8, kernel=16, neighbours=16,
                           first_layer=1)  # fmt: skip
    assert list(kept.origins) == expected


def test_no_later_layer_runs(decoder):
    draft = SpannedDraft(decoder)

    assert SpecPCShallow().draft_layers(draft) == 3
    assert SpecPCShallow(lookahead=2).draft_layers(draft) == 5
    assert SpecPCShallow(last_layer=4).draft_layers(draft) == 4


def test_with_the_published_layers_and_kernel_it_is_the_published_method(decoder):
    tokens, same = tokens_of(LENGTH, 4), {"keep": 90, "kernel": 7, "first_layer": 2}

    ours = SpecPCShallow(**same, last_layer=5).on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)

    assert ours == SpecPC(**same).on_prompt(prompt_of(tokens), TinyDraft(decoder), 16)


@pytest.mark.parametrize("keep", [LENGTH, LENGTH + 1, 1.0])
def test_a_budget_of_the_whole_prompt_runs_no_draft_and_drops_nothing(decoder, keep):
    draft, prompt = SpannedDraft(decoder), prompt_of(tokens_of(LENGTH))

    assert SpecPCShallow(keep=keep).on_prompt(prompt, draft, 16) is prompt
    assert draft.runs == 0


@pytest.mark.parametrize(("keep", "kernel"), [(30, 16), (264, 32), (520, 64), (2048, 64)])
def test_four_peaks_fit_unless_the_kernel_is_given(keep, kernel):
    prompt = prompt_of(tokens_of(4096, 0))
    open_kernel = SpecPCShallow(keep=keep, window=8).choice(prompt, range(1, 3))
    assert (open_kernel.kernel, open_kernel.neighbours) == (kernel, kernel)

    given_kernel = SpecPCShallow(keep=keep, window=8, kernel=5).choice(prompt, range(1, 3))
    assert (given_kernel.kernel, given_kernel.neighbours) == (5, 5)
