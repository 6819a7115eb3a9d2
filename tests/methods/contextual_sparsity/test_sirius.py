"""Sirius against a loop that rolls nothing back, and its invariants."""

from __future__ import annotations

from functools import cache

import pytest

from forethought.contracts.errors import UsageError
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.methods.contextual_sparsity.sirius import Sirius
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.answer_networks import AnswerNetworks
from forethought.sessions.conversation import Conversation
from tests.methods.contextual_sparsity.masked import read
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET, run, session

SHORT = "Locker 4."
PROMPT = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, document=SHORT).tokens
LENGTH = 14


def networks_of(method):
    networks = AnswerNetworks(TARGET.network, method)
    read(SequenceCache(3), [(networks.prefilling(len(PROMPT)), PROMPT, "prefill")])
    return networks


def continued(tokens):
    """A new cache of the prompt and these tokens, by the full model."""
    cache = SequenceCache(3)
    full = TARGET.network
    return cache, read(cache, [(full, PROMPT, "prefill"), (full, tokens, "decode")])


def drafted_by(network, tokens, room):
    """The sparse tokens behind the newest token, and the number of sparse passes."""
    cache, _ = continued(tokens[:-1])
    found, newest = [], tokens[-1]
    for passes in range(1, room + 1):
        newest = int(read(cache, [(network, [newest], "decode")]).argmax())
        if newest in TARGET.tokenizer.ends:
            return found, passes
        found.append(newest)
    return found, room


def slow_answer(method):
    """The greedy answer, and the numbers of full and of sparse passes."""
    sparse = networks_of(method).sparse
    tokens, passes, checks = [int(continued([])[1].argmax())], 0, 0
    while len(tokens) < LENGTH:
        room = min(method.kernel - 1, LENGTH - len(tokens) - 1)
        drafted, used = drafted_by(sparse, tokens, room)
        passes, checks = passes + used, checks + 1
        cache, logits = continued(tokens)
        for token in drafted:
            if float((logits.double() / 0.6).softmax(-1)[token]) < method.threshold:
                break
            tokens.append(token)
            logits = read(cache, [(TARGET.network, [token], "decode")])
        tokens.append(int(logits.argmax()))
        if tokens[-1] in TARGET.tokenizer.ends:
            return tokens, checks, passes
    return tokens, checks, passes


@cache
def answered(*methods, **settings):
    """The tokens of an answer, and its run."""
    own = session(approximate=methods, **{"max_tokens": LENGTH, **settings})
    found = list(own.stream(QUESTION, SHORT))
    tokens = [one.data["token"] for one in found if one.kind == "token"]
    return tokens, found[-1].data["run"]


CASES = {
    "sirius": Sirius(),
    "sirius(kernel=4, threshold=0.02, density=0.8)": Sirius(0.8, 4, 0.02),
    "sirius(kernel=7, threshold=0.001, neurons=token)": Sirius(0.5, 7, 0.001, "token"),
    "sirius(kernel=5, threshold=0.0)": Sirius(0.5, 5, 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_tokens_and_passes_are_those_of_the_published_loop(name):
    tokens, found = answered(name)
    expected, checks, passes = slow_answer(CASES[name])

    assert tokens == expected
    cost, networks = found["cost"], networks_of(CASES[name])
    full, part = TARGET.shape.parameters, networks.sparse.shape.parameters
    assert cost["decode_passes"] == checks
    assert cost["read_parameters"] == checks * full + passes * part
    assert cost["full_parameters"] == (len(tokens) - 1) * full
    assert networks.decoding is networks.full


def test_the_cases_accept_and_reject_sparse_tokens():
    taken = [answered(name)[1]["cost"]["accepted_tokens"] for name in CASES]

    assert 0 < taken[0] < taken[3] == LENGTH - 1 - 3
    assert len({*map(str, (answered(name)[0] for name in CASES))}) > 1


@pytest.mark.parametrize("neurons", ["prompt", "token"])
def test_a_threshold_above_one_gives_the_full_models_answer(neurons):
    settings = {"samples": 3, "temperature": 0.7}
    method = f"sirius(kernel=6, threshold=2.0, neurons={neurons})"

    plain, found = run(**settings), run(approximate=(method,), **settings)

    assert found["candidates"] == plain["candidates"]
    assert found["cost"]["accepted_tokens"] == 0
    assert found["cost"]["verified_tokens"] > 0


def test_full_density_is_the_exact_run():
    plain, found = answered()[1], answered("sirius(density=1.0)")[1]

    assert found["answer"] == plain["answer"]
    assert found["cost"] == plain["cost"]


def test_effective_density_is_that_of_the_paper_where_all_tokens_are_taken():
    found = answered("sirius(kernel=8, threshold=0.0)", max_tokens=25)[1]

    part = networks_of(Sirius()).sparse.shape.parameters / TARGET.shape.parameters
    # Three kernels of 8 tokens, of which 7 are sparse.
    assert found["cost"]["decode_passes"] == 3
    assert found["cost"]["density"] == pytest.approx((7 * part + 1) / 8, abs=1e-4)


def test_entries_of_an_answer_are_those_of_the_full_model():
    """The next turn reads them: it equals a turn behind the same answer by full decode passes."""
    sparse, plain = (
        Conversation(session(approximate=methods, max_tokens=9), SHORT)
        for methods in (("sirius(kernel=4, threshold=2.0)",), ())
    )
    for one in (sparse, plain):
        list(one.stream(QUESTION))

    ours, exact = (one._cache for one in (sparse, plain))

    assert ours.next == exact.next
    for layer in range(3):
        for mine, its in zip(ours.kv_slices(layer), exact.kv_slices(layer), strict=True):
            assert mine.keys.allclose(its.keys, rtol=1e-10)
            assert mine.values.allclose(its.values, rtol=1e-10)


@pytest.mark.parametrize("method", ["h2o(keep=120, every=4)", "snapkv(keep=120, every=6)"])
def test_evictions_during_decode_do_not_see_sparse_tokens(method):
    plain, found = (
        run(approximate=methods, max_tokens=30)
        for methods in ((method,), (method, "sirius(threshold=2.0, kernel=5)"))
    )

    assert found["answer"] == plain["answer"]
    assert found["kept"] == plain["kept"]


def test_what_cannot_be_bounded_or_combined_is_refused():
    with pytest.raises(UsageError, match="draft its answer"):
        run(approximate=("sirius", "prompt-lookup"))
    with pytest.raises(UsageError, match="no bound"):
        run(approximate=("sirius",), budget="1TFLOP")


def test_later_turns_are_corrected_too():
    talk = Conversation(session(approximate=("sirius(kernel=4)",), max_tokens=9), DOCUMENT)
    list(talk.stream(QUESTION))

    *_, done = talk.stream("And locker 5?")

    assert done.data["run"]["cost"]["verified_tokens"] > 0
