"""The choice in a long document runs aside, so that other sequences decode meanwhile."""

from __future__ import annotations

import threading

import pytest

from forethought import catalogue
from forethought.contracts.records import Prompt
from forethought.models.hardware.sliced_task import SlicedTask

WORDS = 9000


class Watched(frozenset):
    """Protected tokens that note which threads ask for them."""

    threads: set[int]

    def __contains__(self, token):
        self.threads.add(threading.get_ident())
        return super().__contains__(token)


def long_prompt():
    text = "one two. " * (WORDS // 2) + "two?"
    tokens = text.replace(". ", " .").split(" ")
    spans, place = [], 0
    for token in tokens:
        spans.append((place, place + len(token)))
        place += len(token) + 1
    protected = Watched([len(tokens) - 1])
    protected.threads = set()
    return Prompt(
        tuple(range(len(tokens))), tuple(spans), text, protected=protected, content=(0, len(text))
    )


@pytest.mark.parametrize("name", ["truncate(keep=20)", "random(keep=20)", "bm25(keep=20)"])
def test_a_long_document_is_shortened_in_another_thread(name):
    method, prompt, found = catalogue.build(name), long_prompt(), []
    expected = method.on_prompt(prompt, None, 4)
    prompt.protected.threads.clear()

    task = SlicedTask(lambda: found.append(method.on_prompt(prompt, None, 4)))
    while not task.ended:
        task.advance(0.1)

    assert found == [expected]
    assert len(expected) <= 20
    assert threading.get_ident() not in prompt.protected.threads
    assert prompt.protected.threads
