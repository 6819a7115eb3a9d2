"""Evictions during decode: budgets, off values and slow scores."""

import pytest
import torch

from forethought.contracts.errors import BudgetTooSmallError
from forethought.methods.kv_eviction.ada_snapkv import AdaSnapKV
from forethought.methods.kv_eviction.chunkkv import ChunkKV
from forethought.methods.kv_eviction.criticalkv import CriticalKV
from forethought.methods.kv_eviction.entropy_gated_chunkkv import EntropyGatedChunkKV
from forethought.methods.kv_eviction.evict import Evict
from forethought.methods.kv_eviction.expected_attention import ExpectedAttention
from forethought.methods.kv_eviction.h2o import H2O
from forethought.methods.kv_eviction.keydiff import KeyDiff
from forethought.methods.kv_eviction.knorm import KNorm
from forethought.methods.kv_eviction.pyramidkv import PyramidKV
from forethought.methods.kv_eviction.snapkv import SnapKV
from forethought.methods.kv_eviction.streaming_llm import StreamingLLM
from forethought.methods.kv_eviction.tova import TOVA
from tests.methods.decode_cuts import (
    check_decode_cuts,
    decoded,
    held_by,
    newest,
    received,
    short_keys,
    window_attention,
)
from tests.methods.reference import (
    TinyDraft,
    prompt_of,
)
from tests.tiny import fresh_logits, tiny_decoder, tokens_of

LENGTH, KEEP = 40, 18
SETTINGS = {"keep": KEEP, "window": 4, "sinks": 2, "lookahead": 3, "future": 4, "beta": 3}


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


LAYERWISE = [
    SnapKV(keep=KEEP, window=4, every=5),
    StreamingLLM(keep=KEEP, sinks=2, every=5),
    PyramidKV(keep=KEEP, window=4, every=5, beta=3),
    AdaSnapKV(keep=KEEP, window=4, every=5),
    H2O(keep=KEEP, every=5),
    KNorm(keep=KEEP, every=5, whole_layers=0),
    ExpectedAttention(keep=KEEP, future=4, every=5, alpha=0.2),
    Evict(**SETTINGS, allocation="adaptive-pyramid", every=5),
    Evict(**SETTINGS, importance="random", every=5),
    TOVA(keep=KEEP, every=5),
    ChunkKV(keep=KEEP, window=4, every=5, chunk_tokens=1),
    EntropyGatedChunkKV(keep=KEEP, window=4, every=5),
    KeyDiff(keep=KEEP, every=5, block=6),
    CriticalKV(keep=KEEP, window=4, every=5),
]


NO_WINDOW = (KNorm, ExpectedAttention, KeyDiff)


@pytest.mark.parametrize("method", LAYERWISE, ids=repr)
@pytest.mark.parametrize("length", [8, LENGTH])
def test_the_budget_is_never_exceeded_while_an_answer_grows(decoder, method, length):
    prompt = prompt_of(tokens_of(length), protected={0, 5})
    assert method.pays(length)
    assert method.evicts_every() == 5
    assert method.on_prompt(prompt, TinyDraft(decoder), 4) is prompt

    row = check_decode_cuts(decoder, method, prompt, range(31))

    # ada-snapkv rounds the budget of each head alone, as its authors do.
    spare = 0.5 * 3 if isinstance(method, AdaSnapKV) else 0
    assert abs(sum(row.lengths()) - (KEEP - 5 + 1) * 3) <= spare
    newest = [length + 30 in head for layer in held_by(decoder, row) for head in layer]
    assert isinstance(method, NO_WINDOW) or all(newest)


@pytest.mark.parametrize("method", LAYERWISE, ids=repr)
def test_an_answer_within_the_budget_loses_nothing(decoder, method):
    roomy = type(method)(**{**vars(method), "keep": 100})
    tokens = tokens_of(LENGTH)

    *_, (_, logits) = decoded(decoder, roomy, prompt_of(tokens), range(20))

    exact = fresh_logits(decoder, [*tokens, *range(20)])
    torch.testing.assert_close(logits, exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("method", "score"), [
    (StreamingLLM(keep=KEEP, sinks=2, every=5), newest),
    (KNorm(keep=KEEP, every=5, whole_layers=0), short_keys),
    (SnapKV(keep=KEEP, window=4, every=5), window_attention(4, 5, "mean")),
    (SnapKV(keep=KEEP, window=7, every=3, pool="max"), window_attention(7, 5, "max")),
    (H2O(keep=KEEP, every=5), received),
    (Evict(**SETTINGS, every=5), window_attention(4, 7, "max")),
], ids=["newest", "norm", "window", "max", "received", "evict"])  # fmt: skip
def test_evictions_during_decode_keep_the_best_by_a_slow_score(decoder, method, score):
    # No token twice: rotations keep norms, so that in the first layer its keys would tie.
    prompt = prompt_of(range(LENGTH), protected={0, 5, 30})

    check_decode_cuts(decoder, method, prompt, range(LENGTH, LENGTH + 23), score)


def test_as_many_queries_in_sight_as_entries_are_not_taken_for_a_prefill(decoder):
    prompt = prompt_of(tokens_of(LENGTH), protected={5, 30})

    method = StreamingLLM(keep=KEEP, sinks=2, every=5)
    check_decode_cuts(decoder, method, prompt, range(31), newest, sight=KEEP)


def test_a_budget_leaves_room_for_what_is_written_between_two_cuts(decoder):
    prompt = prompt_of(tokens_of(LENGTH), protected={35, 39})

    with pytest.raises(BudgetTooSmallError, match=r"18 entries.*every=15 takes 21"):
        SnapKV(keep=18, window=6, every=15).on_prompt(prompt, TinyDraft(decoder), 4)
    # Both lie in the window now, but not once the answer has moved it on.
    with pytest.raises(BudgetTooSmallError, match="what must stay needs 2 more"):
        SnapKV(keep=18, window=6, every=11).on_prompt(prompt, TinyDraft(decoder), 4)
    with pytest.raises(BudgetTooSmallError) as caught:
        H2O(keep=10, every=1, recent=0.9).on_prompt(prompt, TinyDraft(decoder), 4)
    least = int(caught.value.hint.split()[1])
    H2O(keep=least, every=1, recent=0.9).on_prompt(prompt, TinyDraft(decoder), 4)
    with pytest.raises(BudgetTooSmallError, match="keeps 5 entries"):
        KNorm(keep=5, every=5, protect=False).on_prompt(prompt, TinyDraft(decoder), 4)
