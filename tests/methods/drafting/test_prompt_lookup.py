"""`prompt-lookup` beside a slow search for the longest match."""

from __future__ import annotations

import random

import pytest

from forethought.methods.drafting.prompt_lookup import PromptLookup


class Source:
    """The source of a draft: a prompt and its end tokens."""

    def __init__(self, prompt, ends=()):
        self.prompt, self.ends = list(prompt), frozenset(ends)

    def shared(self, what, make):
        return make()


def drafted(prompt, answer=(), most=10, ends=(), **settings):
    drafter = PromptLookup(**settings).drafter(Source(prompt, ends))
    return list(drafter.draft(list(answer), most).tokens)


def slowly(text, most, match):
    """What follows the longest, then newest, earlier run that equals the end of the text."""
    best = (0, 0)
    for place in range(1, len(text)):
        length = 0
        while length < place and text[place - 1 - length] == text[-1 - length]:
            length += 1
        if length >= match:
            best = max(best, (min(length, 32), place))
    grown = list(text)
    for _ in range(most if best[0] else 0):
        grown.append(grown[best[1] + len(grown) - len(text)])
    return grown[len(text) :]


@pytest.mark.parametrize("match", [1, 2, 3])
def test_a_draft_is_what_followed_the_longest_newest_match(match):
    rng = random.Random(match)
    found = 0
    for _ in range(200):
        text = [rng.randrange(3) for _ in range(rng.randrange(1, 40))]
        cut = rng.randrange(len(text) + 1)
        got = drafted(text[:cut], text[cut:], 5, match=match)
        assert got == slowly(text, 5, match)
        found += bool(got)
    assert found > 60


def test_later_calls_know_the_new_tokens():
    drafter = PromptLookup().drafter(Source([1, 2, 3, 4]))
    assert drafter.draft([], 4).tokens == ()
    assert drafter.draft([1, 2], 4).tokens == (3, 4, 1, 2)
    assert drafter.draft([1, 2, 9, 1, 2], 2).tokens == (9, 1)


def test_a_draft_ends_behind_an_end_token_and_is_no_longer_than_asked():
    assert drafted([1, 2, 7, 3, 3, 1, 2], ends=[7]) == [7]
    assert drafted([1, 2, 7, 3, 3, 1, 2], tokens=3) == [7, 3, 3]
    assert drafted([1, 2, 7, 3, 3, 1, 2], most=2) == [7, 3]


@pytest.mark.parametrize("prompt", [[], [1], [1, 1]])
def test_short_texts_are_no_error(prompt):
    assert set(drafted(prompt)) <= {1}
