"""What a prefill may reuse of earlier requests: exact entries, and the results of drafts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import numpy as np

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Network
from forethought.engine.cache.prefix_cache import (
    Key,
    PrefixCache,
    PrefixMatch,
    prefix_key,
    private_copy,
)
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.hardware.sliced_task import aside

_LEAST_COMPUTED = 2
"""A single token would run through matrix-vector kernels, which round otherwise than a prefill."""
MOST_RESULTS = 256
"""Results that are remembered of each kind: some numbers for each token of a prompt."""
ChoiceKey = tuple[Hashable, str, int, bytes]
"""Methods and models, the tenant, and the length and the digest of a whole prompt."""
Known = TypeVar("Known", bound=Hashable)
Result = TypeVar("Result")


class RecentResults(Generic[Known, Result]):
    """Results by everything that they depend on; least recently used first out."""

    def __init__(self, most: int = MOST_RESULTS) -> None:
        self._most = most
        self._results: OrderedDict[Known, Result] = OrderedDict()

    def __contains__(self, key: Known) -> bool:
        return key in self._results

    def __iter__(self) -> Iterator[Known]:
        return iter(self._results)

    def get(self, key: Known) -> Result:
        """The result of a known key."""
        self._results.move_to_end(key)
        return self._results[key]

    def put(self, key: Known, result: Result) -> None:
        """Remember a result."""
        self._results[key] = result
        self._results.move_to_end(key)
        while len(self._results) > self._most:
            self._results.popitem(last=False)


@dataclass(frozen=True)
class KeptTokens:
    """The tokens that a shortened prompt kept."""

    indices: tuple[int, ...]
    in_place: bool
    """Whether they kept their positions."""


@dataclass(frozen=True)
class PrefillMemo:
    """Results of the drafts of a back end, and the choices of shortened prompts."""

    drafts: RecentResults[Hashable, Any] = field(default_factory=RecentResults)
    choices: RecentResults[ChoiceKey, KeptTokens] = field(default_factory=RecentResults)


@dataclass(frozen=True)
class PrefillReuse:
    """The entries and results that the requests of one tenant share."""

    prefixes: PrefixCache
    memo: PrefillMemo
    tenant: str = ""

    def prefix(
        self,
        network: Network,
        tokens: Sequence[int],
        positions: Sequence[int] = (),
        *,
        newest: int | None = 1,
        layers: int | None = None,
    ) -> PromptPrefix:
        """Look up the longest cached prefix of a prompt, and lock it.

        The `newest` tokens are computed in any case; None computes all of them. `layers` is the
        number of layers that the network runs; None for all.
        """
        count = len(network.shape.layers) if layers is None else layers
        space = (network, count, self.tenant)
        key = prefix_key(tokens, positions)
        match = self.prefixes.match(space, key, _reusable(key, newest))
        return PromptPrefix(self.prefixes, space, key, count, match, self.tenant)

    def held(self, network: Network, tokens: Sequence[int], newest: int | None = 1) -> int:
        """Tokens of a prompt that need no prefill at present."""
        space = (network, len(network.shape.layers), self.tenant)
        key = prefix_key(tokens, ())
        return self.prefixes.held(space, key, _reusable(key, newest))

    def result_key(self, what: Hashable, networks: Sequence[Network], prompt: Prompt) -> Hashable:
        """The key of a draft's result on a prompt."""
        return what, *networks, self.tenant, _digest(prompt.tokens), prompt.text

    def remember_choice(self, scope: Hashable, prompt: Prompt, short: Prompt) -> None:
        """Remember the tokens that a shortened prompt kept; `scope` names methods and models."""
        kept, in_place = short.origins, bool(short.positions)
        if kept and (not in_place or short.positions == kept):
            digest = aside(len(prompt), lambda: _digest(prompt.tokens))
            key = (scope, self.tenant, len(prompt), digest)
            self.memo.choices.put(key, KeptTokens(kept, in_place))

    def continued(self, scope: Hashable, prompt: Prompt, most: int) -> Prompt | None:
        """A prompt that continues a shortened one: the same tokens stay, and all that follow.

        None if there is none, or if more than `most` tokens follow.
        """
        lengths = {
            length
            for own, tenant, length, _ in self.memo.choices
            if own == scope and tenant == self.tenant and 0 < len(prompt) - length <= most
        }
        ends, tokens = sorted(lengths), prompt.tokens
        found = aside(len(tokens), lambda: _digests(tokens, ends)) if ends else []
        for length, digest in reversed(found):
            key = (scope, self.tenant, length, digest)
            if key in self.memo.choices:
                kept = self.memo.choices.get(key)
                indices = [*kept.indices, *range(length, len(prompt))]
                return prompt.keep_in_place(indices) if kept.in_place else prompt.keep(indices)
        return None


def _reusable(key: Key, newest: int | None) -> int:
    """Most tokens of a prompt that may come from the cache; its `newest` tokens never do."""
    return 0 if newest is None else len(key) - max(_LEAST_COMPUTED, newest)


def _digest(tokens: Sequence[int]) -> bytes:
    ((_, digest),) = _digests(tokens, [len(tokens)])
    return digest


def _digests(tokens: Sequence[int], lengths: Sequence[int]) -> list[tuple[int, bytes]]:
    """Each of these ascending lengths with the digest of so many tokens, each token read once."""
    if not lengths:
        return []
    numbers, hashed, start = np.asarray(tokens, dtype=np.int64), blake2b(), 0
    found = []
    for length in lengths:
        hashed.update(numbers[start:length].data)
        found.append((length, hashed.copy().digest()))
        start = length
    return found


@dataclass(eq=False)
class PromptPrefix:
    """The cached prefix of one prompt; its entries are locked until `close`."""

    prefixes: PrefixCache
    space: Hashable
    key: Key
    layers: int
    match: PrefixMatch
    owner: str = ""
    _closed: bool = field(default=False)

    @property
    def tokens(self) -> int:
        """Tokens that need no prefill."""
        return self.match.tokens

    def shared_cache(self) -> SequenceCache:
        """A cache that shares the prefix, with room for the rest of the prompt."""
        return self.match.cache(self.layers, len(self.key) - self.tokens)

    def private_cache(self, reserve: int) -> SequenceCache:
        """A cache with a copy of the prefix in its tail, with room for `reserve` tokens in all."""
        return private_copy(self.match, self.layers, reserve)

    def has_room(self, token_bytes: int) -> bool:
        """Whether the entries after the prefix may be stored."""
        return self.prefixes.has_room(token_bytes * (len(self.key) - self.tokens))

    def store(self, cache: SequenceCache, offset: int = 0) -> None:
        """Store the entries that are complete in all layers; they begin at the token `offset`."""
        complete = offset + int(min(cache.lengths()))
        self.prefixes.insert(self.space, self.key[:complete], cache, offset, self.owner)

    def settle(self, cache: SequenceCache) -> SequenceCache:
        """The cache over the stored entries of the whole prompt, in place of its own copies."""
        held = self.prefixes.hold(self.space, self.key, len(self.key))
        if held.tokens < len(self.key):
            self.prefixes.release(held)
            return cache
        self.prefixes.release(self.match)
        self.match = held
        return held.cache(self.layers)

    def extend(self, key: Key, cache: SequenceCache) -> None:
        """Store the entries of the prompt and an answer, as far as the answer has entries."""
        if not self._closed:
            key = key[: int(min(cache.lengths()))]
            self.prefixes.insert(self.space, key, cache, owner=self.owner)

    def close(self) -> None:
        """Unlock the entries."""
        self._closed = True
        self.prefixes.release(self.match)
