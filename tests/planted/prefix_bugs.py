"""Bugs of prefix caches: entries of others, entries that are gone, and entries that stay."""

from tests.planted.bug import Bug

_CACHE = "engine/cache/prefix_cache.py"
_REUSE = "prefill/prefill_reuse.py"
_OF_CACHE = "tests/engine/cache/test_prefix_cache.py::"
_OF_REUSE = "tests/backends/local/test_prefix_reuse.py::"

PREFIX_BUGS = (
    Bug(
        name="a hit drops the system prompt",
        seen_in="omlx #2443, restored keys that are discarded",
        file=_CACHE,
        old="found.views, found.next = self.views, self.next",
        new="found.views, found.next = self.views[1:], self.next",
        test=_OF_REUSE + "test_a_hit_keeps_the_system_prompt",
    ),
    Bug(
        name="tenants share cached prefixes",
        seen_in="servers without a salt by API key",
        file=_REUSE,
        old="space = (network, count, self.tenant)",
        new="space = (network, count)",
        test=_OF_REUSE + "test_the_tenants_of_a_server_share_nothing",
    ),
    Bug(
        name="tenants share results of drafts",
        seen_in="servers without a salt by API key",
        file=_REUSE,
        old="return what, *networks, self.tenant, _digest",
        new="return what, *networks, _digest",
        test=_OF_REUSE + "test_the_tenants_of_a_server_share_nothing",
    ),
    Bug(
        name="a prefix in use is evicted",
        seen_in="radix caches that evict before they lock",
        file=_CACHE,
        old="return not self.locks and not self.children and self.parent is not None",
        new="return not self.children and self.parent is not None",
        test=_OF_CACHE + "test_a_locked_prefix_stays_and_the_least_recently_used_goes_first",
    ),
    Bug(
        name="a whole prompt is matched, which leaves no token to compute logits from",
        seen_in="radix caches, matches up to the last token",
        file=_REUSE,
        old="len(key) - max(_LEAST_COMPUTED, newest)",
        new="len(key)",
        test=_OF_REUSE + "test_an_equal_prompt_needs_no_draft",
    ),
    Bug(
        name="a split pins the whole buffer",
        seen_in="radix caches whose halves are views",
        file=_CACHE,
        old="        node.key, node.view, node.parent = node.key[at:].copy(), second, upper\n",
        new=(
            "        node.key, node.view, node.parent = node.key[at:].copy(), second, upper\n"
            "        upper.pinned = whole  # type: ignore[attr-defined]\n"
        ),
        test=_OF_CACHE + "test_a_split_frees_the_memory_of_an_evicted_half",
    ),
    Bug(
        name="other weights under the same name get stale entries",
        seen_in="vLLM, adapters in the key by their names",
        file=_REUSE,
        old="space = (network, count, self.tenant)",
        new="space = (type(network), count, self.tenant)",
        test=_OF_REUSE + "test_two_networks_share_nothing_even_under_one_name",
    ),
    Bug(
        name="scores that sum over all queries begin at a cached prefix",
        seen_in="evictions by accumulated attention behind a prefix cache",
        file="prefill/prepare.py",
        old="newest = self.plan.newest_queries",
        new="newest = self.plan.newest_queries or 1",
        test=_OF_REUSE + "test_methods_that_need_all_queries_leave_exact_entries_and_use_none",
    ),
    Bug(
        name="a compressed prompt with gaps is taken for one without",
        seen_in="prefix keys without positions",
        file=_CACHE,
        old="    if not positions:\n        return key\n",
        new="    if not positions or True:\n        return key\n",
        test=_OF_CACHE + "test_positions_belong_to_the_key_from_the_first_gap_on",
    ),
    Bug(
        name="a draft that is asked for its attention skips the queries that score",
        seen_in="prefix hits that leave only the last token to compute",
        file="prefill/draft_model.py",
        old="own.tokens, newest=queries, layers=count",
        new="own.tokens, newest=1, layers=count",
        test=_OF_REUSE + "test_ten_questions_on_one_document_let_the_draft_read_it_once",
    ),
)
