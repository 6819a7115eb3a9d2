"""Prefixes of a conversation's earlier turns: entries of answers, and choices of a document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.engine.cache.prefix_cache import LEAST_TOKENS
from forethought.models.chat.prompt import chat_prompt, next_turn
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from tests.backends.local.prefix_server import Server, cold, told
from tests.sessions.tiny_session import (
    DOCUMENT,
    QUESTION,
    TARGET,
)
from tests.tiny import tiny_tensors


def test_the_next_turn_of_a_conversation_continues_the_answer():
    server, model = Server(), TARGET
    first = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT)
    answer = server.ask(QUESTION, prompt=first).found.best
    turn = next_turn(model.tokenizer, model.template, "And locker 7?")
    said = first.tokens + answer.token_ids
    second = replace(
        first,
        tokens=said + turn.tokens,
        spans=first.spans + ((len(first.text),) * 2,) * (len(answer.token_ids) + len(turn.tokens)),
    )

    warm = server.ask("And locker 7?", prompt=second)

    written = len(first) + len(answer.token_ids) - 1  # the newest token has no entry
    assert written < 2 * len(said)
    assert warm.cost.cached_tokens in (len(first), written)
    assert told(warm) == told(cold("And locker 7?", prompt=second))


def test_the_answer_of_a_first_turn_is_cached_if_it_is_long_enough():
    server, model = Server(), TARGET
    first = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT)
    answer = server.ask(QUESTION, prompt=first, max_tokens=90).found.best
    longer = replace(
        first,
        tokens=first.tokens + answer.token_ids + first.tokens[-9:],
        spans=first.spans + ((0, 0),) * (len(answer.token_ids) + 9),
    )

    warm = server.ask("", prompt=longer)

    assert len(answer.token_ids) > 70
    assert warm.cost.cached_tokens >= len(first) + len(answer.token_ids) - 1
    assert told(warm) == told(cold("", prompt=longer))


def continued(prompt, answer, text):
    """The prompt of the turn after an answer."""
    turn = next_turn(TARGET.tokenizer, TARGET.template, text)
    new = [*answer.token_ids, *turn.tokens]
    end = len(prompt.text)
    return replace(
        prompt,
        tokens=(*prompt.tokens, *new),
        spans=(*prompt.spans, *((end + i, end + i + 1) for i in range(len(new)))),
        text=prompt.text + "x" * len(new),
        protected=prompt.protected | set(range(len(prompt), len(prompt) + len(new))),
    )


@pytest.mark.parametrize("method", ["specpc-shallow(keep=260)", "spec-prefill(keep=110)"])
def test_a_document_keeps_its_choice_in_later_turns(method):
    server = Server()
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    done = server.ask(QUESTION, (method,), prompt=prompt)
    assert done.opened.kept.prompt_tokens < len(prompt) / 1.5
    for text in ("And locker 7?", "Are you sure?", "Which one is next to it?"):
        before, length = done.opened.kept, len(prompt)
        prompt = continued(prompt, done.found.best, text)
        done = server.ask(text, (method,), prompt=prompt)

        assert done.opened.kept.positions == (*before.positions, *range(length, len(prompt)))
        assert done.cost.draft_tokens == 0
        assert done.cost.cached_tokens > before.prompt_tokens - LEAST_TOKENS


def test_a_turn_longer_than_the_budget_is_shortened_with_the_document():
    server = Server()
    methods = ("specpc-shallow(keep=260)",)
    first = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    done = server.ask(QUESTION, methods, prompt=first)
    longer = continued(first, done.found.best, DOCUMENT)
    longer = replace(longer, protected=first.protected)

    warm = server.ask("", methods, prompt=longer)

    assert warm.opened.kept.prompt_tokens == 260
    assert told(warm) == told(cold("", methods, prompt=longer))


@pytest.mark.parametrize(
    ("methods", "tenant"),
    [(("specpc-shallow(keep=280)",), ""), (("specpc-shallow(keep=260)",), "another")],
)
def test_a_choice_belongs_to_its_method_and_its_tenant(methods, tenant):
    server = Server()
    first = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    done = server.ask(QUESTION, ("specpc-shallow(keep=260)",), prompt=first)
    second = continued(first, done.found.best, "And locker 7?")

    warm = server.ask("", methods, prompt=second, tenant=tenant)

    assert warm.cost.draft_tokens > 0
    assert told(warm) == told(cold("", methods, prompt=second))


def decoding_by(weights):
    config, tensors = tiny_tensors(
        seed=1, vocab_size=TARGET.tokenizer.vocabulary_size, max_position_embeddings=2048
    )
    tensors = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    return Decoder(config, tensors, build_linears(tensors, {}, weights))


def test_answers_of_quantised_decode_passes_are_not_taken_for_a_prefill():
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    found = {}
    for weights in ("bf16", "int8"):
        server = Server(replace(TARGET, network=decoding_by(weights)))
        answer = server.ask(QUESTION, prompt=prompt, max_tokens=90).found.best
        second = continued(prompt, answer, "And locker 7?")
        assert len(answer.token_ids) > 70
        found[weights] = server.ask("", prompt=second).cost.cached_tokens - len(prompt)

    assert found == {"bf16": len(answer.token_ids) - 1, "int8": 0}
