"""Draft a tree: the tokens after earlier matches, in the prompt and in a tenant's answers.

Paper: Lookahead, arXiv:2312.12728
Published: code; github.com/alipay/PainlessInferenceAcceleration: 64 tokens, branches of 12, queries
    of 2. Here: fewer tokens are verified where more do not pay, and the trie of a tenant's answers
    holds a bounded number of nodes.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: 13 nodes of a trie for each token of the prompt, as long as the sequence runs, and of answers;
    each decode pass has further rows, as long as these pay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from forethought.contracts.drafts import NO_DRAFT, ROOT, DraftSource, DraftTree, TokenDrafter
from forethought.contracts.parameters import Count, DraftLength, Share
from forethought.contracts.roles import Drafter

_MOST_OF_TREE = 512
"""Nodes behind one first token of answers before they are squeezed."""
_MOST_NODES = 200_000
"""Nodes of the trie of answers, about 60 MB."""
_CLEANED = 1024
"""Touched first tokens between two squeezes."""


@dataclass(frozen=True)
class TrieLookahead(Drafter):
    """A trie of token runs, with their frequencies in the prompt and in earlier answers."""

    tokens: Count = 64
    """Most tokens of a tree."""
    branch: DraftLength = 12
    """Most tokens of a branch."""
    query: Count = 2
    """Newest tokens that are looked up; fewer if these lead to little."""
    output_weight: Share = 1e-4
    """Weight of the frequency in answers; that of the frequency in the prompt is the rest."""

    def drafter(self, source: DraftSource) -> TokenDrafter:
        """The lookup of one sequence."""
        store = source.shared(("trie-lookahead", self.branch), lambda: _Store(self.branch + 1))
        return _TrieText(self, store, source)


class _Node:
    """A token behind the tokens of the nodes above it, and how often it stood there."""

    __slots__ = ("children", "count")

    def __init__(self) -> None:
        self.children: dict[int, _Node] = {}
        self.count = 0.0

    def size(self) -> int:
        """Nodes below it."""
        return sum(1 + child.size() for child in self.children.values())

    def squeeze(self) -> None:
        """Drop what was counted once at most, and halve the other counts."""
        self.children = {token: one for token, one in self.children.items() if one.count > 1}
        for child in self.children.values():
            child.count /= 2
            child.squeeze()


class _Trie:
    """The runs of `length` tokens behind each token of some texts."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.trees: dict[int, _Node] = {}
        """By first token."""
        self.nodes = 0
        self._touched: set[int] = set()

    def insert(self, text: Sequence[int], starts: int) -> None:
        """Count the runs behind the first `starts` tokens."""
        for start in range(starts):
            node = self.trees.setdefault(text[start], _Node())
            self._touched.add(text[start])
            for token in text[start + 1 : start + 1 + self.length]:
                child = node.children.get(token)
                if child is None:
                    child = node.children[token] = _Node()
                    self.nodes += 1
                child.count += 1
                node = child

    def find(self, query: Sequence[int]) -> _Node | None:
        """The node behind these tokens."""
        node = self.trees.get(query[0])
        for token in query[1:]:
            node = None if node is None else node.children.get(token)
        return node

    def clean(self) -> None:
        """Squeeze touched trees that are too large, now and then; all while there are too many."""
        if len(self._touched) >= _CLEANED:
            for first in self._touched & self.trees.keys():
                if self.trees[first].size() > _MOST_OF_TREE:
                    self.trees[first].squeeze()
            self._touched.clear()
            self._count()
        while self.nodes > _MOST_NODES:
            for tree in self.trees.values():
                tree.squeeze()
            self._count()

    def _count(self) -> None:
        self.trees = {first: tree for first, tree in self.trees.items() if tree.children}
        self.nodes = sum(tree.size() for tree in self.trees.values())


class _Store:
    """The tries of a tenant: of all answers, and of each prompt in use."""

    def __init__(self, length: int) -> None:
        self.answers = _Trie(length)
        self._prompts: dict[tuple[int, ...], tuple[_Trie, int]] = {}
        """With the number of sequences behind the prompt."""

    def open(self, prompt: tuple[int, ...]) -> _Trie:
        """The trie of a prompt."""
        trie, users = self._prompts.get(prompt) or (_Trie(self.answers.length), 0)
        if not users:
            trie.insert(prompt[1:], len(prompt) - 2)
        self._prompts[prompt] = trie, users + 1
        return trie

    def close(self, prompt: tuple[int, ...]) -> None:
        """Drop the trie of a prompt that no sequence follows any more."""
        trie, users = self._prompts.pop(prompt)
        if users > 1:
            self._prompts[prompt] = trie, users - 1


class _TrieText(TokenDrafter):
    """The text of one sequence."""

    def __init__(self, method: TrieLookahead, store: _Store, source: DraftSource) -> None:
        self._method, self._store, self._ends = method, store, source.ends
        self._prompt = tuple(source.prompt)
        self._trie: _Trie | None = None
        self._counted = 0
        """Tokens of the answer whose runs are counted."""

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """The tree behind the newest tokens."""
        if self._trie is None:
            self._trie = self._store.open(self._prompt)
        self._count(tokens, len(tokens) - self._store.answers.length)
        count, found = self._method.query, NO_DRAFT
        query = [*self._prompt[-count:], *tokens[-count:]][-count:]
        for start in range(len(query)):
            ending = query[start:]
            if len(ending) == 1 and ending[0] in self._ends:
                continue
            nodes = self._trie.find(ending), self._store.answers.find(ending)
            if any(node is not None and node.children for node in nodes):
                below = list(_merged(*nodes, self._method.output_weight))
                found = _ravelled(below, min(most, self._method.tokens), self._method.branch)
                if len(found) >= self._method.branch:
                    break
        return found

    def close(self, tokens: Sequence[int]) -> None:
        """Count the runs at the end of the answer, and leave the prompt."""
        if self._trie is not None:
            self._trie = None
            self._store.close(self._prompt)
            self._count(tokens, len(tokens) - 1)

    def _count(self, tokens: Sequence[int], stop: int) -> None:
        """Count the runs behind the tokens before `stop`, each once."""
        if stop > self._counted:
            self._store.answers.insert(tokens[self._counted :], stop - self._counted)
            self._store.answers.clean()
            self._counted = stop


@dataclass
class _Candidate:
    """A token that may be drafted."""

    token: int
    output: float
    """Its frequency in answers."""
    mixed: float
    """The weighed frequency in prompt and answers."""
    children: list[_Candidate]


def _merged(prompt: _Node | None, answers: _Node | None, weight: float) -> Iterator[_Candidate]:
    """The tokens behind a node of either trie."""
    read = {} if prompt is None else prompt.children
    written = {} if answers is None else answers.children
    for token in {**read, **written}:
        own, other = read.get(token), written.get(token)
        inputs = 0.0 if own is None else own.count
        output = 0.0 if other is None else other.count
        mixed = (1 - weight) * inputs + weight * output
        yield _Candidate(token, output, mixed, list(_merged(own, other, weight)))


def _ravelled(tops: Sequence[_Candidate], most: int, depth: int) -> DraftTree:
    """The chosen candidates depth first, the most frequent ones first, up to `depth` tokens."""
    chosen = _chosen(tops, most)
    tokens: list[int] = []
    parents: list[int] = []

    def add(candidates: Sequence[_Candidate], parent: int, room: int) -> None:
        for one in sorted(candidates, key=lambda one: -one.mixed):
            if room and id(one) in chosen and len(tokens) < most:
                tokens.append(one.token)
                parents.append(parent)
                add(one.children, len(tokens) - 1, room - 1)

    add(tops, ROOT, depth)
    return DraftTree(tuple(tokens), tuple(parents))


def _chosen(tops: Sequence[_Candidate], most: int) -> set[int]:
    """Which candidates may be drafted: half of them by answers at most, the others by both.

    No candidate is more frequent than the one above it, which comes first among equals.
    """
    every = list(_every(tops))
    if len(every) <= most:
        return {id(one) for one in every}
    written = [one for one in every if one.output > 0]
    by_output = sorted(written, key=lambda one: -one.output)[: most // 2]
    found = {id(one) for one in by_output}
    for one in sorted(every, key=lambda one: -one.mixed):
        if len(found) >= most:
            break
        found.add(id(one))
    return found


def _every(candidates: Sequence[_Candidate]) -> Iterator[_Candidate]:
    for one in candidates:
        yield from chain([one], _every(one.children))
