"""The choice of whole sentences of a prompt by a score against its question."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forethought.contracts.errors import NoDocumentError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression._room import PromptRoom
from forethought.models.hardware.sliced_task import aside
from forethought.numerics.late_imports import np
from forethought.numerics.sentences import sentences

Score = Callable[[str, Sequence[str]], np.ndarray]
"""(question, sentences) to the score of each sentence."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Sentence:
    """A sentence and its droppable tokens.

    A token belongs to the sentence of its first character. White space belongs to the text after
    it, so sentences stay apart when those between them are dropped.
    """

    text: str
    tokens: list[int]


def retrieved(prompt: Prompt, room: PromptRoom, method: str, score: Score) -> Prompt:
    """The prompt of its protected tokens and the best sentences that fit, in text order.

    A sentence longer than the remaining budget is skipped for the next one.
    """
    question = question_of(prompt, method)
    found = aside(len(prompt), lambda: sentences_of(prompt, room))
    ranks = np.argsort(-score(question, [sentence.text for sentence in found]), kind="stable")
    chosen: list[int] = []
    for sentence in (found[rank] for rank in ranks):
        if len(chosen) + len(sentence.tokens) <= room.count:
            chosen += sentence.tokens
    return prompt.keep(room.kept(chosen))


def question_of(prompt: Prompt, method: str) -> str:
    """The user's text after the document; NoDocumentError if it is empty."""
    free = [stop for i, (_, stop) in enumerate(prompt.spans) if i not in prompt.protected]
    start, stop = prompt.content
    question = prompt.text[max([start, *free]) : stop].strip()
    if not question:
        raise NoDocumentError(
            f"{method} ranks the sentences of a document by a question, but this prompt has no "
            "question behind a document",
            "give the document apart from the question",
        )
    return question


def sentences_of(prompt: Prompt, room: PromptRoom) -> list[Sentence]:
    """The sentences with droppable tokens; every droppable token is in exactly one."""
    found: list[Sentence] = []
    places = _first_characters(prompt.text, [start for start, _ in prompt.spans])
    for first, last in room.runs():
        start, stop = prompt.spans[first][0], prompt.spans[last][1]
        ranges = sentences(prompt.text[start:stop]) or [(0, 0)]
        begins = np.array([start + a for a, _ in ranges])
        numbers = np.searchsorted(begins, places[first : last + 1], side="right") - 1
        tokens: list[list[int]] = [[] for _ in ranges]
        for token, number in enumerate(numbers.tolist(), start=first):
            tokens[max(0, number)].append(token)
        found += [
            Sentence(prompt.text[start + a : start + b], held)
            for (a, b), held in zip(ranges, tokens, strict=True)
            if held
        ]
    return found


def _first_characters(text: str, starts: Sequence[int]) -> np.ndarray:
    """The first place at or after each start without white space, or the end of the text."""
    # A generator, in which other threads get the interpreter.
    words = np.fromiter((end for found in _WORD.finditer(text) for end in found.span()), int)
    begins, ends = np.append(words, (len(text), len(text) + 1)).reshape(-1, 2).T
    places = np.array(starts, dtype=int)
    nexts = begins[np.searchsorted(ends, places, side="right")]
    return np.asarray(np.maximum(places, nexts))
