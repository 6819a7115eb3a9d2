"""`trie-lookahead` beside frequencies that are counted in the whole text."""

from __future__ import annotations

import random

import pytest

from forethought.contracts.drafts import ROOT
from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import checked
from forethought.methods.drafting import trie_lookahead
from forethought.methods.drafting.trie_lookahead import TrieLookahead


class Source:
    """The source of a draft, of one tenant."""

    def __init__(self, prompt, ends=(), store=None):
        self.prompt, self.ends = tuple(prompt), frozenset(ends)
        self.store = {} if store is None else store

    def shared(self, what, make):
        if what not in self.store:
            self.store[what] = make()
        return self.store[what]


def times(texts, run):
    return sum(tuple(text[at : at + len(run)]) == run for text in texts for at in range(len(text)))


def slowly(prompt, answers, query, method):
    """The published draft: the frequencies of every run that starts with the query."""
    found = []
    for start in range(len(query)):
        ending = tuple(query[start:])
        below = {}
        for text in (prompt[1:], *answers):
            for at in range(len(text)):
                if tuple(text[at : at + len(ending)]) == ending:
                    # A branch has `branch` + 1 tokens behind its first one.
                    stop = min(at + 2 + method.branch, len(text))
                    for end in range(at + len(ending) + 1, stop + 1):
                        below[tuple(text[at + len(ending) : end])] = None
        counts = {
            run: (times([prompt[1:]], ending + run), times(answers, ending + run)) for run in below
        }
        if counts:
            found = ravelled(counts, method)
            if len(found) >= method.branch:
                break
    return found


def ravelled(counts, method):
    """Runs depth first, the most frequent ones first."""
    weight = method.output_weight
    mixed = {run: (1 - weight) * one[0] + weight * one[1] for run, one in counts.items()}
    chosen = set(counts)
    if len(counts) > method.tokens:
        order = preorder(counts)
        written = sorted((r for r in order if counts[r][1]), key=lambda r: -counts[r][1])
        chosen = set(written[: method.tokens // 2])
        for run in sorted(order, key=lambda r: -mixed[r]):
            if len(chosen) < method.tokens:
                chosen.add(run)
    found = []

    def add(above):
        below = [r for r in counts if len(r) == len(above) + 1 and r[:-1] == above]
        for run in sorted(below, key=lambda r: -mixed[r]):
            if run in chosen and len(run) <= method.branch and len(found) < method.tokens:
                found.append(run)
                add(run)

    add(())
    return found


def preorder(counts):
    def below(above):
        for run in counts:
            if len(run) == len(above) + 1 and run[:-1] == above:
                yield run
                yield from below(run)

    return list(below(()))


def runs(tree):
    return [tuple(tree.tokens[place] for place in path) for path in tree.paths]


@pytest.mark.parametrize(("tokens", "branch"), [(64, 12), (8, 3), (5, 4)])
def test_a_tree_has_the_most_frequent_runs_behind_the_newest_tokens(tokens, branch):
    rng = random.Random(tokens)
    method = TrieLookahead(tokens=tokens, branch=branch)
    for _ in range(60):
        store, texts = {}, []
        for _ in range(2):
            earlier = [rng.randrange(4) for _ in range(rng.randrange(2, 12))]
            one = method.drafter(Source([9], store=store))
            one.draft(earlier[:1], 1)
            one.close(earlier)
            texts.append(earlier)
        prompt = [rng.randrange(4) for _ in range(rng.randrange(3, 20))]
        drafter = method.drafter(Source(prompt, store=store))

        tree = drafter.draft([], 100)

        assert runs(tree) == slowly(prompt, texts, prompt[-2:], method)
        assert len(tree) <= tokens
        assert all(len(path) <= branch for path in tree.paths)


def test_an_answer_is_counted_once_and_as_soon_as_its_branches_are_complete():
    method, store = TrieLookahead(branch=2), {}
    one = method.drafter(Source([9], store=store))
    for end in range(1, 8):
        one.draft([1, 2, 3, 4, 5, 6, 7][:end], 1)
    other = method.drafter(Source([8], store=store))
    assert other.draft([1], 10).tokens == (2, 3)
    assert other.draft([1, 5], 10).tokens == ()

    one.close([1, 2, 3, 4, 5, 6, 7])

    assert other.draft([1, 5, 5], 10).tokens == (6, 7)
    (trie,) = (one.answers for one in store.values())
    assert {node.count for tree in trie.trees.values() for node in tree.children.values()} == {1.0}


def test_a_prompt_is_forgotten_with_its_last_sequence():
    method, store = TrieLookahead(), {}
    sequences = [method.drafter(Source([9, 1, 2, 3], store=store)) for _ in range(2)]
    for one in sequences:
        assert one.draft([1], 10).tokens == (2, 3)
    sequences[0].close([])
    assert sequences[1].draft([1, 1], 10).tokens == (2, 3)
    sequences[1].close([])

    assert all(not one._prompts for one in store.values())
    assert method.drafter(Source([9], store=store)).draft([1], 10).tokens == ()


def test_the_trie_of_answers_is_bounded(monkeypatch):
    monkeypatch.setattr(trie_lookahead, "_MOST_NODES", 500)
    method, store, rng = TrieLookahead(), {}, random.Random(0)
    for _ in range(20):
        one = method.drafter(Source([9], store=store))
        answer = [1, 2, 3, 4] * 5 + [rng.randrange(100) for _ in range(80)]
        one.draft(answer, 1)
        one.close(answer)
        (held,) = store.values()
        assert held.answers.nodes <= 500
        assert held.answers.nodes == sum(tree.size() for tree in held.answers.trees.values())
    drafted = method.drafter(Source([9], store=store)).draft([3, 4], 3)
    assert drafted.tokens[:3] == (1, 2, 3)
    assert drafted.parents == (ROOT, 0, 1)


def test_an_end_token_alone_is_no_query():
    drafter = TrieLookahead().drafter(Source([9, 5, 1, 2, 4, 5], ends=[5]))

    assert drafter.draft([], 10).tokens == ()
    assert drafter.draft([1], 10).tokens[:2] == (2, 4)


def test_the_longest_branch_of_a_text_that_repeats_itself_is_drafted():
    method = TrieLookahead(branch=64, tokens=64)
    found = method.drafter(Source([5] * 2000)).draft([5, 5], 64)
    assert found.tokens == (5,) * 64
    assert found.is_chain


def test_branches_are_bounded():
    with pytest.raises(BadParameterError, match="branch"):
        checked(TrieLookahead, {"branch": 65})
