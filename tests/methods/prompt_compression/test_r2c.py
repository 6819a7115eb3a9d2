"""R2C against the authors' loops over the attention of transformers, on random weights."""

from __future__ import annotations

import random

import numpy as np
import pytest

from forethought.contracts.errors import BudgetTooSmallError, UsageError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression.r2c import R2C
from forethought.models.encoders.reader import open_reader
from forethought.numerics.passage_choice import Passage, kept_passages
from forethought.numerics.sentences import sentences
from tests.fast_cases import fast_each
from tests.methods.prompt_compression.questions import CountingDraft, asked
from tests.models.encoders.test_context_encoder import bytes_of
from tests.models.tiny_readers import first_attention, save_reader

QUESTION = "Which cat ran?"
CHUNK = 12


def story(seed):
    words = ["cat", "dog", "bird", "ran", "sat", "far", "sang", "The", "a"]
    chance = random.Random(seed)
    return " ".join(
        " ".join(chance.choices(words, k=chance.randint(1, 5))).capitalize() + "."
        for _ in range(16)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def model(folder):
    return save_reader(folder)


def published_passages(model, prompt, longest):
    """Each chunk: its score, then its sentences, each with its tokens and its score or None."""
    free = [i for i in range(len(prompt)) if i not in prompt.protected]
    before = len(bytes_of(f"question: {QUESTION}")) + len(bytes_of("context:"))
    chunks, read = [], []
    for start in range(0, len(free), CHUNK):
        part = free[start : start + CHUNK]
        first = prompt.spans[part[0]][0]
        text = prompt.text[first : prompt.spans[part[-1]][1]]
        tokens = bytes_of(f"question: {QUESTION} context: {text.strip()}")[: longest - 1]
        read.append([*tokens, 258])
        split = []
        for a, b in sentences(text):
            begins = [first + a, first + b]
            own = [
                i for i in part
                if begins[0] <= prompt.spans[i][0] + _blanks(prompt, i) < begins[1]
            ]  # fmt: skip
            split.append((text[a:b], own))
        chunks.append([one for one in split if one[1]])
    found = []
    for split, scores in zip(chunks, first_attention(model, read), strict=True):
        place, told = before, []
        for text, own in split:
            size = len(bytes_of(text.strip()))
            inside = scores[place : place + size]
            told.append((own, sum(inside) / len(inside) if inside else None))
            place += size
        found.append((sum(scores[:-1]) / len(scores[:-1]), told))
    return found


def _blanks(prompt, token):
    start, stop = prompt.spans[token]
    text = prompt.text[start:stop]
    return len(text) - len(text.lstrip())


def published_choice(passages, target, share=0.2, power=1.0):
    """The authors' two stages, over token counts."""
    whole = sum(len(own) for _, split in passages for own, _ in split)
    remove = whole - target
    if remove < 0:
        return sorted(i for _, split in passages for own, _ in split for i in own)
    order = sorted(range(len(passages)), key=lambda n: -passages[n][0])
    aim, total, chosen = int(whole - remove * (1 - share)), 0, []
    for n in order:
        total += sum(len(own) for own, _ in passages[n][1])
        chosen.append(n)
        if total >= aim:
            break
    kept = {n: [own for own, _ in passages[n][1]] for n in chosen}
    if total > target:
        drop_sentences([passages[n] for n in chosen], total - target, power, kept, chosen)
    return sorted(i for parts in kept.values() for own in parts for i in own)


def drop_sentences(best, wanted, power, kept, chosen):
    quotas = [wanted]
    if len(best) > 1:
        inverse = [1 / score**power for score, _ in best]
        quotas = sorted(int(one / sum(inverse) * wanted) for one in inverse)
    gone_in_all = 0
    for rank in range(len(best) - 1, -1, -1):
        split, quota = best[rank][1], quotas[rank]
        if gone_in_all >= wanted or quota == 0:
            continue
        scored = [(score, at) for at, (_, score) in enumerate(split) if score is not None]
        dropped, gone = [], 0
        for _, at in sorted(scored):
            dropped.append(at)
            gone += len(split[at][0])
            if gone_in_all + gone >= wanted or gone >= quota:
                break
        if len(dropped) == len(scored):
            dropped = list(range(len(split)))
            gone = sum(len(own) for own, _ in split)
        kept[chosen[rank]] = [own for at, (own, _) in enumerate(split) if at not in dropped]
        gone_in_all += gone
        pass_on(quotas, rank, gone - quota)


def pass_on(quotas, rank, excess):
    if excess <= 0:
        quotas[rank - 1] -= excess if rank > 0 else 0
        return
    for at in range(rank):
        less = max(0, quotas[at] - excess)
        excess = max(0, excess - quotas[at])
        quotas[at] = less


@pytest.mark.parametrize("longest", [512, 70])
@pytest.mark.parametrize("room", fast_each(2, [0, 6, 15, 24, 40]))
@pytest.mark.parametrize("seed", fast_each(2, range(3)))
def test_the_choice_equals_the_published_steps(model, folder, seed, room, longest):
    prompt, draft = asked(QUESTION, story(seed)), CountingDraft()
    method = R2C(
        keep=len(prompt.protected) + room, encoder=str(folder), chunk=CHUNK, longest=longest
    )

    kept = method.on_prompt(prompt, draft, 16)

    passages = published_passages(model, prompt, longest)
    target = room
    while len(expected := published_choice(passages, target)) > room:
        target -= len(expected) - room
    assert sorted(kept.origins) == sorted([*prompt.protected, *expected])
    ((tokens, flops),) = draft.charged
    assert tokens > len(passages) * len(QUESTION)
    assert flops > 0


@pytest.mark.parametrize("longest", [512, 70])
def test_chunks_and_sentences_have_the_mean_attention_of_their_tokens(model, folder, longest):
    prompt = asked(QUESTION, story(0))
    method = R2C(keep=len(prompt.protected) + 9, encoder=str(folder), chunk=CHUNK, longest=longest)

    reader = open_reader(str(folder))
    room = method.room(prompt)
    found = method._passages(prompt, room, reader, CountingDraft(), QUESTION)

    for one, (score, told) in zip(found, published_passages(model, prompt, longest), strict=True):
        assert one.score == pytest.approx(score, rel=1e-3)
        assert one.sentences == tuple(tuple(own) for own, _ in told)
        assert one.scores == pytest.approx([s for _, s in told if s is not None], rel=1e-3)


@pytest.mark.parametrize("seed", range(40))
def test_stages_drop_what_the_authors_loops_drop(seed):
    chance = np.random.default_rng(seed)
    passages, place = [], 0
    for _ in range(chance.integers(1, 9)):
        parts = []
        for _ in range(chance.integers(1, 6)):
            size = int(chance.integers(1, 9))
            parts.append((list(range(place, place + size)), float(chance.random())))
            place += size
        passages.append((float(chance.random()) + 0.01, parts))
    target = int(chance.integers(0, place + 1))
    share, power = float(chance.choice([0.0, 0.2, 0.7, 1.0])), float(chance.choice([0.5, 1.0, 2.0]))

    built = [
        Passage(score, tuple(tuple(own) for own, _ in parts), tuple(one for _, one in parts))
        for score, parts in passages
    ]
    kept = kept_passages(built, target, share, power)

    assert kept == published_choice(passages, target, share, power)


def test_without_a_share_for_sentences_chunks_stay_whole():
    parts = [Passage(score, ((n, n + 1), (n + 2,)), (0.1, 0.2)) for n, score in
             [(0, 0.5), (3, 0.9), (6, 0.1)]]  # fmt: skip

    assert kept_passages(parts, 6, 0.0, 1.0) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("keep", [1000, 1.0])
def test_a_budget_of_the_whole_prompt_loads_nothing_and_changes_nothing(keep):
    prompt = asked(QUESTION, story(0))

    assert R2C(keep=keep, encoder="no-such").on_prompt(prompt, None, 16) is prompt


def test_what_must_stay_needs_room_and_a_question_is_needed(folder, model):
    prompt = asked(QUESTION, story(0))

    with pytest.raises(BudgetTooSmallError, match="r2c keeps 3 tokens"):
        R2C(keep=3, encoder=str(folder)).on_prompt(prompt, CountingDraft(), 16)
    with pytest.raises(UsageError, match="no question behind a document"):
        R2C(keep=1, encoder=str(folder)).on_prompt(
            Prompt((1, 2), ((0, 3), (3, 6)), "A. B. ", content=(0, 6)), CountingDraft(), 16
        )
