"""Choices of shortened prompts that later turns continue."""

from __future__ import annotations

from forethought.contracts.records import Prompt
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.prefill import prefill_reuse
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse


def prompt_of(tokens):
    spans = tuple((n, n + 1) for n in range(len(tokens)))
    return Prompt(tuple(tokens), spans, "x" * len(tokens))


def test_each_token_is_hashed_once_for_all_earlier_choices(monkeypatch):
    reuse, hashed = PrefillReuse(PrefixCache(1 << 20), PrefillMemo()), []
    for n in range(40):
        earlier = prompt_of([n, *range(4000 + n)])
        reuse.remember_choice("scope", earlier, earlier.keep([0, 5, 6]))

    def counted(*given):
        made = prefill_reuse_hash(*given)

        class Counting:
            def __init__(self, inner):
                self.inner = inner

            def update(self, data):
                hashed.append(len(data))
                self.inner.update(data)

            def copy(self):
                return Counting(self.inner.copy())

            def digest(self):
                return self.inner.digest()

        return Counting(made)

    prefill_reuse_hash = prefill_reuse.blake2b
    monkeypatch.setattr(prefill_reuse, "blake2b", counted)
    later = prompt_of([17, *range(4100)])
    found = reuse.continued("scope", later, 200)

    assert found.origins == (0, 5, 6, *range(4018, 4101))
    assert sum(hashed) <= len(later)
