import pytest
import torch

from forethought.contracts.errors import BudgetTooSmallError
from forethought.methods.prompt_compression.specpc import SpecPC
from forethought.methods.prompt_compression.specpc_fused import SpecPCFused
from tests.methods.reference import TinyDraft, attention_matrices, prompt_of
from tests.tiny import tiny_decoder, tokens_of

LENGTH = 90


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def kept(decoder, tokens, **changes):
    method = SpecPCFused(**{"keep": 40, "window": 8, "kernel": 1, "lookahead": 5, **changes})
    return list(method.on_prompt(prompt_of(tokens), TinyDraft(decoder), 16).origins)


@pytest.mark.parametrize("seed", range(4))
def test_the_question_and_the_written_answer_choose_in_turns(decoder, seed):
    tokens = tokens_of(LENGTH, seed)
    written = TinyDraft(decoder).read(prompt_of(tokens), lambda view: None, lookahead=5)

    matrices = [a for a, _, _ in attention_matrices(decoder, [*tokens, *written[:-1]])]
    later_half = matrices[len(matrices) // 2 :]
    question = [a[:, LENGTH - 8 : LENGTH].mean(1).amax(0)[:LENGTH] for a in later_half]
    answer = [a[:, LENGTH:].amax((0, 1))[:LENGTH] for a in later_half]
    looks = [torch.stack(look).amax(0).argsort(descending=True) for look in (question, answer)]
    chosen = dict.fromkeys(range(LENGTH - 8, LENGTH))
    for a, b in zip(*looks, strict=True):
        # In one turn the earlier of two tokens comes first.
        chosen |= dict.fromkeys(sorted({int(a), int(b)}))
    assert kept(decoder, tokens) == sorted(list(chosen)[:40])


def test_what_only_the_answer_looks_at_stays_too(decoder):
    tokens = tokens_of(LENGTH, 4)
    settings = {"keep": 40, "window": 8, "kernel": 1, "weighted": False, "first_layer": 2}
    question = SpecPC(**settings, reduction="window-mean", last_layer=4)
    asked = list(question.on_prompt(prompt_of(tokens), TinyDraft(decoder), 16).origins)

    assert kept(decoder, tokens, first_layer=2, lookahead=1) == asked
    assert kept(decoder, tokens, first_layer=2) != asked


@pytest.mark.parametrize("keep", [LENGTH, 1.0, LENGTH + 5])
def test_a_budget_of_the_whole_prompt_runs_no_draft_and_drops_nothing(decoder, keep):
    draft = TinyDraft(decoder)
    prompt = prompt_of(tokens_of(LENGTH, 2))

    assert SpecPCFused(keep=keep).on_prompt(prompt, draft, 16) is prompt
    assert draft.runs == 0


def test_what_must_stay_needs_room(decoder):
    prompt = prompt_of(tokens_of(LENGTH, 2), protected=frozenset(range(30)))
    draft = TinyDraft(decoder)

    short = SpecPCFused(keep=40, window=8).on_prompt(prompt, draft, 16)
    assert set(range(30)) <= set(short.origins)
    with pytest.raises(BudgetTooSmallError, match="specpc-fused keeps 20 tokens, but 30"):
        SpecPCFused(keep=20, window=8).on_prompt(prompt, draft, 16)
