"""CPC against loops over the states of transformers, on random weights."""

from __future__ import annotations

import math

import pytest

from forethought.contracts.errors import BudgetTooSmallError, UsageError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression.cpc import CPC
from forethought.numerics.sentences import sentences
from tests.methods.prompt_compression.questions import CountingDraft, asked
from tests.models.encoders.test_context_encoder import bytes_of, embedded
from tests.models.tiny_rewards import random_judge, save_judge

DOCUMENT = (
    "The cat sat. The dog ran far. Dogs sing! A cat ran, a bird sat. Birds ran. "
    "Which birds? The far cat did not sing. A dog sat."
)
QUESTION = "Which cat ran?"
TEXTS = [DOCUMENT[a:b] for a, b in sentences(DOCUMENT)]


@pytest.fixture(scope="module")
def model():
    return random_judge("llama", "ForCausalLM", seed=4)


@pytest.fixture(scope="module")
def encoder(model, tmp_path_factory):
    return str(save_judge(tmp_path_factory.mktemp("encoder"), model))


def published_parts(window):
    """The parts of the authors' code; a byte is a token."""
    count = 1
    while True:
        each = math.ceil(len(TEXTS) / count)
        buckets = [TEXTS[i : i + each] for i in range(0, len(TEXTS), each)]
        if all(len(" ".join(bucket)) <= window for bucket in buckets):
            break
        count += 1
    parts, now, length = [], [], -1
    for text in TEXTS:
        now.append(text)
        length += len(text) + 1
        if length >= len(" ".join(TEXTS)) / count:
            parts.append(now)
            now, length = [], -1
    return [*parts, now] if now else parts


def published_scores(model, window):
    (target,) = embedded(model, [bytes_of(QUESTION)])
    scores = []
    for part in published_parts(window):
        inside = []
        for text in part:
            if sum(map(len, inside)) + len(text) > window:
                break
            inside.append(bytes_of(text))
        found = embedded(model, inside)
        scores += [sum(a * b for a, b in zip(one, target, strict=True)) for one in found]
        scores += [-math.inf] * (len(part) - len(inside))
    return scores


@pytest.mark.parametrize("window", [6144, 90, 50])
@pytest.mark.parametrize("room", [0, 5, 12, 20, 27])
def test_the_choice_equals_the_published_steps(model, encoder, window, room):
    prompt, draft = asked(QUESTION, DOCUMENT), CountingDraft()

    kept = CPC(keep=len(prompt.protected) + room, encoder=encoder, window=window).on_prompt(
        prompt, draft, 16
    )

    scores, left, chosen = published_scores(model, window), room, []
    for rank in sorted(range(len(TEXTS)), key=lambda n: -scores[n]):
        size = len(asked("", TEXTS[rank].strip()).tokens) - 2
        if size > left:
            break
        left, chosen = left - size, [*chosen, rank]
    document = kept.content_text.removesuffix(f"\n\n{QUESTION}")
    assert [s.strip() for s in (document[a:b] for a, b in sentences(document))] == [
        TEXTS[n].strip() for n in sorted(chosen)
    ]
    ((tokens, flops),) = draft.charged
    read = [n for n, score in enumerate(scores) if score > -math.inf]
    assert tokens == len(QUESTION) + sum(len(TEXTS[n]) for n in read)
    assert flops > 0


def test_a_sentence_that_is_the_question_stays_first(encoder):
    document = f"The bird sat far. {QUESTION} A dog ran."
    prompt = asked(QUESTION, document)

    kept = CPC(keep=len(prompt.protected) + 4, encoder=encoder, window=18).on_prompt(
        prompt, CountingDraft(), 16
    )

    assert kept.content_text.split("\n\n")[0].strip() == QUESTION


def test_parts_are_several_where_the_window_is_small():
    assert [len(published_parts(window)) for window in (6144, 90, 50)] == [1, 2, 3]


@pytest.mark.parametrize("keep", [1000, 1.0])
def test_a_budget_of_the_whole_prompt_loads_nothing_and_changes_nothing(keep):
    prompt = asked(QUESTION, DOCUMENT)

    assert CPC(keep=keep, encoder="no-such").on_prompt(prompt, None, 16) is prompt


def test_what_must_stay_needs_room_and_a_question_is_needed(encoder):
    prompt = asked(QUESTION, DOCUMENT)

    with pytest.raises(BudgetTooSmallError, match="cpc keeps 3 tokens"):
        CPC(keep=3, encoder=encoder).on_prompt(prompt, CountingDraft(), 16)
    with pytest.raises(UsageError, match="no question behind a document"):
        CPC(keep=1, encoder=encoder).on_prompt(
            Prompt((1, 2), ((0, 3), (3, 6)), "A. B. ", content=(0, 6)), CountingDraft(), 16
        )
