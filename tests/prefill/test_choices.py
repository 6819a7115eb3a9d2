"""Choices of shortened prompts that later turns continue."""

from __future__ import annotations

import hashlib

from forethought.contracts.records import Prompt
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.prefill import prefill_reuse
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse


def prompt_of(tokens):
    spans = tuple((n, n + 1) for n in range(len(tokens)))
    return Prompt(tuple(tokens), spans, "x" * len(tokens))


class CountingHash:
    """A hash that counts the bytes it reads."""

    read = 0

    def __init__(self, data=b"", inner=None):
        self.inner = inner or hashlib.blake2b()
        self.update(data)

    def update(self, data):
        CountingHash.read += memoryview(data).nbytes
        self.inner.update(data)

    def copy(self):
        return CountingHash(inner=self.inner.copy())

    def digest(self):
        return self.inner.digest()


def test_each_token_is_hashed_once_for_all_earlier_choices(monkeypatch):
    monkeypatch.setattr(prefill_reuse, "blake2b", CountingHash)
    reuse = PrefillReuse(PrefixCache(1 << 20), PrefillMemo())
    for n in range(40):
        earlier = prompt_of([n, *range(4000 + n)])
        reuse.remember_choice("scope", earlier, earlier.keep([0, 5, 6]))

    later = prompt_of([17, *range(4100)])
    before = CountingHash.read
    found = reuse.continued("scope", later, 200)

    assert found.origins == (0, 5, 6, *range(4018, 4101))
    assert CountingHash.read - before <= 8 * len(later)
