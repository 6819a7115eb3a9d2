"""Shortened prompts: the text, the spans and the content follow the tokens that stay."""

from __future__ import annotations

import random
from itertools import accumulate, compress

import pytest

from forethought.contracts.records import Prompt


def drawn(rng):
    """A prompt whose tokens may share characters, as parts of one letter do, or have none."""
    spans, place = [], 0
    while len(spans) < 60:
        size = rng.choice([0, 1, 1, 2, 5])
        spans += [(place, place + size)] * rng.choice([1, 1, 1, 3])
        place += size + rng.choice([0, 0, 2])
    text = "".join(rng.choice("abcdef ") for _ in range(place + 3))
    content = sorted(rng.randrange(len(text)) for _ in range(2))
    return Prompt(tuple(range(len(spans))), tuple(spans), text, content=(content[0], content[1]))


@pytest.mark.parametrize("seed", range(20))
def test_the_characters_of_the_kept_tokens_stay(seed):
    rng = random.Random(seed)
    prompt = drawn(rng)
    indices = rng.sample(range(len(prompt)), rng.randrange(len(prompt) + 1))
    if seed % 2:
        indices.sort()

    short = prompt.keep(indices)

    shown = [any(a <= n < b for a, b in (prompt.spans[i] for i in indices))
             for n in range(len(prompt.text))]  # fmt: skip
    place = [0, *accumulate(shown)]
    assert short.text == "".join(compress(prompt.text, shown))
    assert short.spans == tuple((place[a], place[b]) for a, b in (prompt.spans[i] for i in indices))
    assert short.content == (place[prompt.content[0]], place[prompt.content[1]])
    assert short.origins == tuple(indices)
