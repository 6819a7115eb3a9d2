"""Trees of drafted tokens."""

from __future__ import annotations

import pytest

from forethought.contracts.drafts import NO_DRAFT, ROOT, DraftTree

TREE = DraftTree((5, 9, 5, 7), (ROOT, 0, 0, ROOT))


def test_a_chain_is_a_tree_whose_tokens_follow_each_other() -> None:
    chain = DraftTree.chain([5, 9, 2])

    assert chain.parents == (ROOT, 0, 1)
    assert chain.paths == ((0,), (0, 1), (0, 1, 2))
    assert chain.is_chain
    assert not TREE.is_chain
    assert NO_DRAFT.is_chain


def test_a_path_holds_a_token_and_its_ancestors() -> None:
    assert TREE.paths == ((0,), (0, 1), (0, 2), (3,))


@pytest.mark.parametrize(
    ("place", "token", "child"),
    [(ROOT, 5, 0), (ROOT, 7, 3), (ROOT, 9, None), (0, 9, 1), (0, 5, 2), (1, 5, None)],
)
def test_a_child_is_found_by_its_token(place: int, token: int, child: int | None) -> None:
    assert TREE.child(place, token) == child


def test_the_first_tokens_are_a_tree_and_end_before_one_that_is_none() -> None:
    assert TREE.first(2) == DraftTree((5, 9), (ROOT, 0))
    assert TREE.first(9) is TREE
    assert TREE.within(9) == DraftTree((5,), (ROOT,))
    assert DraftTree((3, -1), (ROOT, 0)).within(9) == DraftTree((3,), (ROOT,))
