"""Reasoning is split from content, whatever pieces the text comes in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.models.chat.messages import Message, messages_prompt
from forethought.models.chat.reasoning import (
    ReasoningMarkers,
    ReasoningSplitter,
    SplitText,
    begins_in_reasoning,
    reasoning_markers,
    split_reasoning,
)
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.models.chat.templates import DEEPSEEK, GEMMA, HERMES
from tests.models.tiny_tokenizers import byte_level

THINK = ReasoningMarkers("<think>", "</think>")
TEXTS = st.lists(
    st.sampled_from(["<think>", "</think>", "\n", " ", "<", "</thi", "a", "think>", "é"]),
    max_size=12,
).map("".join)


def in_pieces(
    text: str, cuts: list[int], markers: ReasoningMarkers | None, inside: bool
) -> SplitText:
    splitter = ReasoningSplitter(markers, inside=inside)
    ends = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    found = [splitter.push(text[a:b]) for a, b in pairwise(ends)]
    found.append(splitter.finish())
    return SplitText("".join(one.reasoning for one in found), "".join(one.content for one in found))


@given(text=TEXTS, cuts=st.lists(st.integers(0, 99), max_size=40), inside=st.booleans())
def test_all_pieces_give_the_same_parts(text: str, cuts: list[int], inside: bool) -> None:
    whole = split_reasoning(text, THINK, inside=inside)

    assert in_pieces(text, cuts, THINK, inside) == whole
    assert in_pieces(text, list(range(len(text))), THINK, inside) == whole


@given(text=TEXTS, inside=st.booleans())
def test_nothing_is_lost_but_markers_and_line_breaks_beside_them(text: str, inside: bool) -> None:
    reasoning, content = split_reasoning(text, THINK, inside=inside)

    starts = inside or text.lstrip().startswith("<think>")
    rest = text if inside or not starts else text.lstrip().removeprefix("<think>")
    if not starts:
        assert (reasoning, content) == ("", text)
    elif "</think>" in rest:
        before, _, after = rest.partition("</think>")
        assert (reasoning, content) == (before.strip("\n"), after.lstrip("\n"))
    else:
        assert (reasoning, content) == (rest.lstrip("\n"), "")


@pytest.mark.parametrize(
    ("text", "inside", "parts"),
    [
        ("<think>\nhm\n</think>\n\nyes\n", False, ("hm", "yes\n")),
        ("hm\n</think>\n\nyes", True, ("hm", "yes")),
        ("\n <think>hm", False, ("hm", "")),
        ("hm, then", True, ("hm, then", "")),
        ("yes", False, ("", "yes")),
        ("yes <think>no</think>", False, ("", "yes <think>no</think>")),
        ("<think>a</think>b<think>c</think>", False, ("a", "b<think>c</think>")),
        ("<thi", False, ("", "<thi")),
        ("", True, ("", "")),
    ],
)
def test_parts_of_whole_answers(text: str, inside: bool, parts: tuple[str, str]) -> None:
    assert split_reasoning(text, THINK, inside=inside) == parts


def test_text_comes_out_as_soon_as_no_marker_can_hold_it() -> None:
    splitter = ReasoningSplitter(THINK)

    assert splitter.push("<think>").reasoning == ""
    assert splitter.push("a\n").reasoning == "a"
    assert splitter.push("b</thin").reasoning == "\nb"
    assert splitter.push("g").reasoning == "</thing"
    assert splitter.push("</think>c") == ("", "c")


def test_tokens_of_reasoning_are_counted_with_their_markers() -> None:
    splitter = ReasoningSplitter(THINK)
    for piece in ("<think>", "a", "b", "</think>", "\n", "c", "d"):
        splitter.push(piece)

    assert splitter.tokens == 4
    assert ReasoningSplitter(None).push("<think>a") == ("", "<think>a")


def tokenizer() -> Tokenizer:
    return Tokenizer(byte_level("smollm"), bos=1, ends=[2])


def test_an_answer_begins_in_reasoning_if_the_template_opens_it() -> None:
    asked = [Message("user", "why? <think>")]
    opened = messages_prompt(tokenizer(), DEEPSEEK, asked)
    closed = messages_prompt(tokenizer(), HERMES, asked, thinking=False)

    assert begins_in_reasoning(opened, reasoning_markers(DEEPSEEK))
    assert not begins_in_reasoning(closed, reasoning_markers(HERMES))
    assert not begins_in_reasoning(opened, None)


@pytest.mark.parametrize("content", ["", "so"])
def test_a_continued_message_is_inside_if_it_has_no_content_yet(content: str) -> None:
    final = Message("assistant", content, reasoning="hm")
    asked = [Message("user", "why?"), final]
    prompt = messages_prompt(tokenizer(), HERMES, asked, continue_final=True)

    assert begins_in_reasoning(prompt, THINK, final) == (not content)


def test_markers_come_from_the_template_or_else_from_the_vocabulary() -> None:
    assert reasoning_markers(HERMES) == reasoning_markers(DEEPSEEK) == THINK
    assert reasoning_markers(GEMMA) is None
    assert reasoning_markers("x [THINK] [/THINK]") == ReasoningMarkers("[THINK]", "[/THINK]")
    assert reasoning_markers(GEMMA, tokenizer()) is None
    inner = byte_level("smollm")
    inner.add_tokens(["<think>", "</think>"])
    assert reasoning_markers(GEMMA, Tokenizer(inner)) == THINK
