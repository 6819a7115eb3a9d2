"""Questions that go on from others: from which, and that nothing else decides it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from forethought.backends.verdict_prefixes import LEAST, VerdictPrefixes, common_prefix

TEXTS = st.lists(
    st.lists(st.sampled_from("ab"), max_size=4).map(lambda s: "x".join(c * 20 for c in s))
)


def read(texts):
    found = VerdictPrefixes()
    for text in texts:
        found.add(text)
    return found


@given(
    TEXTS, st.lists(st.sampled_from("ab"), max_size=5).map(lambda s: "x".join(c * 20 for c in s))
)
def test_next_to_nothing_more_could_be_spared_and_every_link_spares_enough(texts, question):
    found = read(texts)
    chain = found.copy().add(question)
    if not texts:
        assert chain == ()
        return
    assert chain[0] == texts[0]
    most = max(common_prefix(one, question) for one in texts)
    assert common_prefix(chain[-1], question) > most - LEAST
    spared = [common_prefix(one, question) for one in chain]
    assert all(more >= less + LEAST for less, more in itertools.pairwise(spared))
    assert all(found.chains[one] == chain[:place] for place, one in enumerate(chain))


def test_what_was_judged_again_changes_nothing():
    once, twice = read(["a", "b"]), read(["a", "b", "a", "b"])
    assert once == twice


def test_common_counts_what_both_begin_with():
    assert common_prefix("abc", "abd") == 2
    assert common_prefix("ab", "abd") == 2
    assert common_prefix((1, 2), (2, 2)) == 0
    assert common_prefix("", "a") == 0


@given(one=st.text("ab", max_size=20), other=st.text("ab", max_size=20))
def test_common_prefixes_are_those_of_a_slow_comparison(one, other):
    slow = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)

    expected = min(len(one), len(other)) if slow is None else slow
    assert common_prefix(one, other) == common_prefix(tuple(one), tuple(other)) == expected
