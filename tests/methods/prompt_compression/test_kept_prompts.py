"""What is left of a prompt once tokens were dropped: positions and text."""

from dataclasses import replace

from forethought.contracts.records import Prompt


def prompt():
    words = ["<s>", "one ", "two ", "three", "</s>"]
    ends = [len("".join(words[: n + 1])) for n in range(len(words))]
    spans = tuple(zip([0, *ends[:-1]], ends, strict=True))
    return Prompt((7, 1, 2, 3, 8), spans, "".join(words), frozenset({0, 4}), content=(3, 16))


def test_tokens_that_stay_in_place_keep_their_positions_and_the_answer_starts_where_it_would():
    kept = prompt().keep_in_place([0, 2, 3])

    assert kept.tokens == (7, 2, 3)
    assert list(kept.places(5)) == [0, 2, 3, 5, 6]
    assert list(kept.keep_in_place([0, 2]).places(3)) == [0, 3, 5]


def test_tokens_that_are_kept_as_a_fresh_prompt_are_numbered_anew():
    kept = prompt().keep_in_place([0, 2, 4]).keep([1, 2])

    assert kept.positions == ()
    assert list(kept.places(3)) == [0, 1, 2]
    assert kept.origins == (2, 4)


def test_the_content_that_is_left_is_the_users_text_without_the_template():
    assert prompt().content_text == "one two three"
    assert prompt().keep([0, 1, 3, 4]).content_text == "one three"
    assert replace(prompt(), content=(0, 0)).content_text == ""
