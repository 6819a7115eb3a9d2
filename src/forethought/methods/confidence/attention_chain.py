"""The probability of an answer and of the reasoning tokens that it depends on.

Paper: Language Model Uncertainty Quantification with Attention Chain, arXiv:2503.19168
Published: ours (own name); Code: Yinghao-Li/UQAC, with the stop words of a library and similarities
    of the last layer's output. Here: a short list of stop words, and the inputs of the last
    layer's attention.
Exact: never; the changed tokens keep the old continuation, so it is no true marginal.
Cost: one prefill of the answer that reads the attention of every layer, and up to 20 more of the
    answer from a changed token on; nothing is decoded.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.contracts.questions import Question
from forethought.contracts.search import (
    Ability,
    Candidate,
    Estimate,
    Reading,
    reread,
    state,
)
from forethought.methods.confidence._confidence import Confidence
from forethought.numerics.attention_chain import (
    ChainRules,
    Swap,
    attention_chain,
    nearest,
    swaps,
)

_RECENCY = (0.939, 0.874, 0.813, 0.739, 0.675, 0.593, 0.461, 0.330, 0.209, 0.166)
"""Factors on the attention to the ten tokens before each one, the farthest first."""
_LITTLE_WORDS = """
a an and are as at be been but by can could did do does for from had has have he her his i if in
into is it its me my of on or our she so than that the their them then there these they this those
to us was we were what when which who will with would you your
"""
_STOP_WORDS = frozenset(_LITTLE_WORDS.split())
_TOP = 5


@dataclass(frozen=True)
class AttentionChain(Confidence):
    """The marginal probability of the answer over changes of the tokens that it attends to."""

    heads: Count = 16
    """Attention heads of lowest entropy that count for each token."""
    width: Count = 3
    """Tokens that the chain adds at each step back."""
    threshold: float = 0.5
    """Attention below which the chain ends, once it is long enough."""
    least: CountOrZero = 5
    """Tokens that the chain has at least, beside those of the answer."""
    similar: Count = 10
    """Tokens of the chain that are kept, the most similar ones."""
    changes: CountOrZero = 10
    """Changes of a token to try, beside the kept tokens themselves."""
    likely: Share = 0.01
    """Only alternatives above this probability are tried."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"readings"})

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """Read the answer, follow its attention, and read it again with tokens changed."""
        (stated,) = yield from state([answer])
        if not answer.token_ids:
            return None
        text = answer.token_ids
        (read,) = yield from reread([text], top=_TOP, heads=self.heads, recency=_RECENCY)
        span = answer_span(read.texts, stated)
        if not span:
            return None
        kept = self._kept(read, span)
        tried = swaps(read.top, text, kept, count=self.changes + len(kept), least=self.likely)
        counted = [*kept, *span]
        changed = [_swapped(text, one) for one in tried]
        # One ask reads the original too, so that all texts share their prefixes.
        again = (yield from reread([text, *changed])) if changed else [read]
        total = math.fsum(math.exp(_joint(one, counted)) for one in again)
        return min(1.0, total)

    def _kept(self, read: Reading, span: Sequence[int]) -> list[int]:
        """The tokens of the chain that are most similar to the answer."""
        assert read.attention is not None, "attention was asked for"
        assert read.similarity is not None, "attention was asked for"
        rules = ChainRules(self.width, self.threshold, self.least)
        idle = [_says_little(one) for one in read.texts]
        chain = attention_chain(read.attention, span, idle, rules)
        return nearest(read.similarity, chain, span, self.similar)


def answer_span(texts: Sequence[str], stated: str) -> list[int]:
    """The tokens that hold the last occurrence of the stated answer; empty if there is none."""
    start = "".join(texts).rfind(stated) if stated else -1
    if start < 0:
        return []
    found, place = [], 0
    for number, text in enumerate(texts):
        if place < start + len(stated) and place + len(text) > start:
            found.append(number)
        place += len(text)
    return found


def _says_little(token: str) -> bool:
    """Whether a token is white space, punctuation or a stop word."""
    word = token.strip().lower()
    return not word.strip(string.punctuation) or word in _STOP_WORDS


def _swapped(text: Sequence[int], one: Swap) -> tuple[int, ...]:
    return (*text[: one.place], one.token, *text[one.place + 1 :])


def _joint(read: Reading, places: Sequence[int]) -> float:
    return math.fsum(read.log_probabilities[place] for place in places)
