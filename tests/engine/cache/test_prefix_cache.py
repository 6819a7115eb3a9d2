"""The prefix cache against a dictionary of prefixes, by thousands of random operations."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Sequence

import pytest
import torch

from forethought.engine.cache.prefix_cache import (
    LEAST_TOKENS,
    MOST_SEGMENTS,
    PrefixCache,
    prefix_key,
    private_copy,
)
from forethought.engine.cache.sequence_cache import SequenceCache

LAYERS = 2
TOKEN_BYTES = LAYERS * 2 * 8  # a key and a value of one float64 in each layer
AMPLE = 1 << 30


def cache_of(tokens: Sequence[int], salt: int = 0) -> SequenceCache:
    """A cache whose entries tell the whole prefix that they belong to."""
    cache = SequenceCache(LAYERS, len(tokens))
    for layer in range(LAYERS):
        own = entries_of(tokens, salt + layer)
        cache.append(layer, own, -own)
    cache.advance(len(tokens))
    return cache


def entries_of(tokens: Sequence[int], salt: int) -> torch.Tensor:
    found, state = [], salt
    for token in tokens:
        state = (state * 1_000_003 + token + 1) % (1 << 40)
        found.append(float(state))
    return torch.tensor(found, dtype=torch.float64)[:, None, None]


def held_entries(cache: SequenceCache, layer: int) -> torch.Tensor:
    parts = list(cache.kv_slices(layer))
    assert all(torch.equal(part.keys, -part.values) for part in parts)
    return torch.cat([part.keys for part in parts], 1)[0, :, 0]


def check_entries(match, tokens, salt=0):
    cache = match.cache(LAYERS)
    for layer in range(LAYERS if match.tokens else 0):
        expected = entries_of(tokens[: match.tokens], salt + layer)[:, 0, 0]
        assert torch.equal(held_entries(cache, layer), expected)
    assert cache.next == match.tokens
    assert len(match.views) <= MOST_SEGMENTS


class Texts:
    """Token sequences that share prefixes: walks over a tree of random words."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = [
            [self.random.randrange(9) for _ in range(self.random.choice([1, 20, 70, 130]))]
            for _ in range(6)
        ]

    def draw(self) -> list[int]:
        count = self.random.randint(1, 7)
        whole = [token for _ in range(count) for token in self.random.choice(self.words)]
        return whole[: self.random.randint(1, len(whole))]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_random_operations_agree_with_a_dictionary_of_prefixes(seed):
    texts, held = Texts(seed), []
    draw = texts.random
    cache = PrefixCache(3000 * TOKEN_BYTES)
    stored: dict[str, set[tuple[int, ...]]] = {"a": set(), "b": set()}
    salts = {"a": 0, "b": 50}
    hits = 0

    for _ in range(3000):
        act, space, tokens = draw.random(), draw.choice("ab"), texts.draw()
        key = prefix_key(tokens)
        if act < 0.4:
            cache.insert(space, key, cache_of(tokens, salts[space]))
            stored[space].add(tuple(tokens))
        elif act < 0.8:
            match = cache.match(space, key, len(tokens) - 1)
            hits += match.tokens > 0
            assert match.tokens <= longest(stored[space], tokens[:-1])
            check_entries(match, tokens, salts[space])
            held.append((match, tokens, space))
        elif act < 0.97 and held:
            match, tokens, space = held.pop(draw.randrange(len(held)))
            check_entries(match, tokens, salts[space])
            cache.release(match)
            cache.release(match)
        elif act < 0.995:
            cache.allow(draw.randrange(3000) * TOKEN_BYTES)
        else:
            cache.clear()
        cache.check()
        check_locked(cache, [one for one in held if one[0].tokens])

    assert hits > 40
    assert cache.counters.evicted > 10_000
    for match, _, _ in held:
        cache.release(match)
    cache.check()
    assert cache.locked_bytes == 0
    cache.allow(0)
    assert cache.bytes == 0
    assert cache.counters.inserted == cache.counters.evicted


def longest(stored, tokens):
    def common(other):
        same = [a == b for a, b in zip(other, tokens, strict=False)]
        return same.index(False) if False in same else len(same)

    return max(map(common, stored), default=0)


def check_locked(cache, held):
    """Every prefix in use since the last `clear` is cached still."""
    for match, tokens, space in held:
        if match._age == cache._age:
            again = cache.hold(space, prefix_key(tokens), len(tokens) - 1)
            assert again.tokens >= match.tokens
            cache.release(again)


def test_with_room_for_all_the_longest_prefix_is_found():
    texts = Texts(9)
    cache, stored = PrefixCache(AMPLE), []
    for _ in range(300):
        tokens = texts.draw()
        match = cache.match("", prefix_key(tokens), len(tokens))
        missing = longest(stored, tokens) - match.tokens
        assert 0 <= missing < 2 * LEAST_TOKENS  # a leaf and a match may have been too short
        cache.insert("", prefix_key(tokens), cache_of(tokens))
        stored.append(tokens)
        cache.release(match)


def test_the_last_token_is_never_matched_under_its_limit():
    cache, tokens = PrefixCache(AMPLE), list(range(200))
    cache.insert("", prefix_key(tokens), cache_of(tokens))

    assert cache.match("", prefix_key(tokens), 199).tokens == 199
    assert cache.match("", prefix_key(tokens[:100]), 99).tokens == 99
    assert cache.counters.queried == 300
    assert cache.counters.hit == 298


def test_short_matches_and_leaves_are_left_out():
    cache, tokens = PrefixCache(AMPLE), list(range(200))
    cache.insert("", prefix_key(tokens[: LEAST_TOKENS - 1]), cache_of(tokens[: LEAST_TOKENS - 1]))
    assert cache.bytes == 0

    cache.insert("", prefix_key(tokens), cache_of(tokens))
    assert cache.match("", prefix_key([*tokens[: LEAST_TOKENS - 1], 999]), 200).tokens == 0
    assert cache.match("", prefix_key([*tokens[:LEAST_TOKENS], 999]), 200).tokens == LEAST_TOKENS


def test_namespaces_share_nothing():
    cache, tokens = PrefixCache(AMPLE), list(range(100))
    cache.insert("one tenant", prefix_key(tokens), cache_of(tokens))

    assert cache.match("another tenant", prefix_key(tokens), 100).tokens == 0


def test_positions_belong_to_the_key_from_the_first_gap_on():
    cache, tokens = PrefixCache(AMPLE), list(range(300))
    usual, gap = list(range(300)), [*range(100), *range(150, 350)]
    cache.insert("", prefix_key(tokens, usual), cache_of(tokens))

    assert cache.match("", prefix_key(tokens), 300).tokens == 300
    assert cache.match("", prefix_key(tokens, gap), 300).tokens == 100


def test_a_split_frees_the_memory_of_an_evicted_half():
    first, second = list(range(300)), [*range(100), *range(500, 600)]
    cache = PrefixCache(AMPLE)
    cache.insert("", prefix_key(first), cache_of(first))
    match = cache.hold("", prefix_key(first), 300)
    whole = weakref.ref(match.views[0].segment)
    cache.release(match)
    del match
    cache.insert("", prefix_key(second), cache_of(second))
    gc.collect()
    assert whole() is None
    assert cache.bytes == 400 * TOKEN_BYTES

    cache.hold("", prefix_key(second), 200)
    cache.allow(0)

    assert cache.bytes == cache.locked_bytes == 200 * TOKEN_BYTES
    storages = [
        block.keys.untyped_storage().nbytes()
        for view in cache.hold("", prefix_key(second), 200).views
        for block in [view.segment.layers[0].whole]
    ]
    assert storages == [800, 800]


def test_matches_of_one_prefix_have_the_same_views():
    """Decode steps read a prefix once for all sequences that show the same view objects."""
    cache, tokens = PrefixCache(AMPLE), list(range(300))
    cache.insert("", prefix_key(tokens[:100]), cache_of(tokens[:100]))
    cache.insert("", prefix_key(tokens), cache_of(tokens))

    first, second = (cache.hold("", prefix_key(tokens), 300).views for _ in range(2))
    assert len(first) == 2
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_a_locked_prefix_stays_and_the_least_recently_used_goes_first():
    texts = [[n] * 100 for n in range(4)]
    cache = PrefixCache(400 * TOKEN_BYTES)
    for tokens in texts:
        cache.insert("", prefix_key(tokens), cache_of(tokens))
    locked = cache.match("", prefix_key(texts[0]), 99)
    for later in (2, 3, 1):
        cache.release(cache.match("", prefix_key(texts[later]), 99))

    new = [7] * 150
    cache.insert("", prefix_key(new), cache_of(new))

    found = [cache.hold("", prefix_key(tokens), 99).tokens for tokens in texts]
    assert found == [99, 99, 0, 0]
    check_entries(locked, texts[0])


def test_nothing_is_stored_or_evicted_if_locked_nodes_fill_the_budget():
    cache, tokens, more = PrefixCache(250 * TOKEN_BYTES), [1] * 200, [2] * 100
    cache.insert("", prefix_key(tokens), cache_of(tokens))
    match = cache.match("", prefix_key(tokens), 199)

    cache.insert("", prefix_key(more), cache_of(more))
    assert cache.bytes == 200 * TOKEN_BYTES

    cache.release(match)
    cache.insert("", prefix_key(more), cache_of(more))
    assert cache.bytes == 100 * TOKEN_BYTES


def test_a_split_of_a_locked_node_locks_both_halves():
    first, second = list(range(300)), [*range(100), *range(500, 600)]
    cache = PrefixCache(AMPLE)
    cache.insert("", prefix_key(first), cache_of(first))
    match = cache.match("", prefix_key(first), 299)
    cache.insert("", prefix_key(second), cache_of(second))

    cache.allow(0)
    assert cache.bytes == 300 * TOKEN_BYTES
    check_entries(match, first)

    cache.release(match)
    cache.allow(0)
    assert cache.bytes == 0


def test_a_long_conversation_has_few_segments():
    cache, tokens = PrefixCache(AMPLE), []
    for turn in range(40):
        tokens += [turn] * LEAST_TOKENS
        match = cache.match("", prefix_key(tokens), len(tokens) - 1)
        assert match.tokens == len(tokens) - LEAST_TOKENS
        check_entries(match, tokens)
        cache.insert("", prefix_key(tokens), cache_of(tokens))
        cache.release(match)
        cache.check()

    assert len(list(cache._nodes())) <= MOST_SEGMENTS + 1


def test_many_locked_nodes_are_joined_in_a_copy():
    cache, tokens, held = PrefixCache(AMPLE), [], []
    for turn in range(20):
        tokens += [turn] * LEAST_TOKENS
        held.append((cache.match("", prefix_key(tokens), len(tokens) - 1), list(tokens)))
        cache.insert("", prefix_key(tokens), cache_of(tokens))

    assert len(list(cache._nodes())) == 20
    for match, prefix in held:
        check_entries(match, prefix)


def test_entries_that_begin_after_a_missing_prefix_are_not_stored():
    cache, tokens = PrefixCache(AMPLE), list(range(300))
    rest = SequenceCache(LAYERS)
    for layer in range(LAYERS):
        own = entries_of(tokens, layer)[100:]
        rest.append(layer, own, -own)
    rest.place(range(100, 300))

    cache.insert("", prefix_key(tokens), rest, offset=100)
    assert cache.bytes == 0

    cache.insert("", prefix_key(tokens[:100]), cache_of(tokens[:100]))
    cache.insert("", prefix_key(tokens), rest, offset=100)
    check_entries(cache.match("", prefix_key(tokens), 300), tokens)


def test_a_private_copy_may_be_cut_and_the_tree_stays():
    cache, tokens = PrefixCache(AMPLE), list(range(100))
    cache.insert("", prefix_key(tokens), cache_of(tokens))
    match = cache.match("", prefix_key(tokens), 80)

    own = private_copy(match, LAYERS, 120)
    assert own.next == 80
    assert not own.views
    own.keep(0, [torch.tensor([3, 5])])

    check_entries(cache.match("", prefix_key(tokens), 80), tokens)


def test_an_owner_evicts_its_own_entries_before_those_of_others():
    cache = PrefixCache(1000 * TOKEN_BYTES)
    few = [1] * 200
    cache.insert("b", prefix_key(few), cache_of(few), owner="b")
    for n in range(2, 40):
        many = [n] * 200
        cache.insert("a", prefix_key(many), cache_of(many), owner="a")
        cache.check()

    assert cache.hold("b", prefix_key(few), 199).tokens == 199
    assert cache.hold("a", prefix_key([39] * 200), 199).tokens == 199
    assert cache.hold("a", prefix_key([2] * 200), 199).tokens == 0


def test_owners_get_equal_shares():
    cache = PrefixCache(1000 * TOKEN_BYTES)
    for owner in "aabbb" * 3:
        for n in range(5):
            tokens = [n + ord(owner)] * 100
            cache.insert(owner, prefix_key(tokens), cache_of(tokens), owner=owner)
        cache.check()

    shares = {owner: 0 for owner in "ab"}
    for node in cache._nodes():
        shares[node.owner] += node.bytes
    assert shares == {"a": 500 * TOKEN_BYTES, "b": 500 * TOKEN_BYTES}
