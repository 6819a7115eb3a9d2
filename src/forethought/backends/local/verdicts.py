"""Probabilities of given answers by a local model; common prefixes are prefilled once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from forethought.backends.local.choice_scores import (
    next_token_chances,
    option_tokens,
    text_chances,
)
from forethought.backends.verdict_prefixes import Chain, common_prefix
from forethought.contracts.backend import RequestOutcome, VerdictRequest
from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Cost
from forethought.contracts.roles import Network
from forethought.contracts.search import Piece
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.engine.batch import CHUNK, Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Clock, Meter
from forethought.engine.new_tokens import NewTokens
from forethought.engine.sequence import Prefill, SequenceStart
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.models.chat.messages import Message, messages_prompt
from forethought.models.model import Model

KEPT_TOKENS = 8192
"""Tokens of a run's later questions that stay cached for new questions to continue."""


@dataclass(frozen=True)
class _JudgedPrompt:
    """A prefilled question, which later questions may share a prefix with."""

    tokens: tuple[int, ...]
    fresh: int
    """Tokens that were prefilled for it alone."""
    cache: SequenceCache


@dataclass(frozen=True)
class _Rest:
    """A question whose prefix is cached, and the number of tokens in it."""

    question: str
    tokens: tuple[int, ...]
    cache: SequenceCache
    shared: int
    network: Network

    @property
    def fresh(self) -> tuple[int, ...]:
        """The tokens to prefill."""
        return self.tokens[self.shared :]


@dataclass
class VerdictModel:
    """A model that gives verdicts.

    A question continues the longest judged prefix, such as a document or the steps of an answer,
    and prefills only the rest. Questions with a judged prefix share forward passes.
    """

    target: Model
    clock: Clock
    known: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The tokens of questions that the caller has tokenized."""
    _judged: dict[str, dict[str, _JudgedPrompt]] = field(default_factory=dict)
    """By run and question, oldest first."""
    _prompts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """The tokens of the questions of the request that comes next."""

    def flops(self, request: VerdictRequest) -> float:
        """FLOPs of the prefill of all tokens that are not cached."""
        found = 0.0
        for question, chain in _paired(request):
            tokens = self._prompt(question)
            shared = self._shared(self._prompt(chain[-1]), tokens) if chain else 0
            found += self._prefill_flops(shared, len(tokens) - shared, logits=1)
            for option in self._options(request):
                more = len(option) - 1
                found += self._prefill_flops(len(tokens), more, logits=more)
        return found

    def outcome(self, request: VerdictRequest) -> RequestOutcome:
        """The probability of each choice for each question, by the rule of the request."""
        longest = max(map(len, self._options(request)), default=1) - 1
        for question in request.questions:
            self._check_fits(len(self._prompt(question)) + longest)
        meter = Meter(self.clock)
        chances = {
            number: self._chances(request, judged, logits, meter)
            for number, judged, logits in self._prefill_all(request, meter)
        }
        self._prompts.clear()
        found = tuple(chances[number] for number in range(len(request.questions)))
        return RequestOutcome(request.key, meter.cost(0.0), chances=found)

    def release(self, run: str) -> None:
        """Free the cache entries of a run."""
        self._judged.pop(run, None)

    def _prefill_flops(self, past: int, fresh: int, logits: int) -> float:
        shape = self.target.shape
        pairs = [causal_pairs(past, fresh, layer.window) for layer in shape.layers]
        return forward_flops(shape, fresh, pairs, logits=logits)

    def _shared(self, first: Sequence[int], tokens: Sequence[int]) -> int:
        """Length of the common prefix, without the last token, whose logits give the verdict."""
        if self._network(first) is not self._network(tokens):
            return 0
        return min(common_prefix(first, tokens), len(tokens) - 1)

    def _prefill_all(
        self, request: VerdictRequest, meter: Meter
    ) -> Iterator[tuple[int, _JudgedPrompt, Tensor]]:
        """Prefill the questions: number, cache and logits [V] of each."""
        waiting = dict(enumerate(_paired(request)))
        while waiting:
            ready = _ready(waiting)
            for pack in self._packs(request.run, [waiting.pop(number) for number in ready]):
                judged = self._prefill(request.run, pack, meter)
                yield from ((ready.pop(0), *one) for one in judged)

    def _packs(self, run: str, questions: Sequence[tuple[str, Chain]]) -> Iterator[list[_Rest]]:
        """The questions in order, as many at once as a forward pass takes."""
        pack: list[_Rest] = []
        for question, chain in questions:
            rest = self._rest(run, question, chain)
            size = sum(len(one.fresh) for one in (*pack, rest))
            if pack and (size > CHUNK or rest.network is not pack[0].network or not chain):
                yield pack
                pack = []
            pack.append(rest)
        if pack:
            yield pack

    def _rest(self, run: str, question: str, chain: Chain) -> _Rest:
        """A question after the last prefix of its chain."""
        tokens = self._prompt(question)
        network = self._network(tokens)
        if not chain:
            empty = SequenceCache(len(self.target.shape.layers), len(tokens))
            return _Rest(question, tokens, empty, 0, network)
        before = self._prefilled(run, chain)
        shared = self._shared(before.tokens, tokens)
        cache = before.cache.before(shared)
        cache.reserve = len(tokens) - shared
        return _Rest(question, tokens, cache, shared, network)

    def _prefill(
        self, run: str, pack: Sequence[_Rest], meter: Meter
    ) -> list[tuple[_JudgedPrompt, Tensor]]:
        """Prefill questions side by side; returns each with its logits [V]."""
        batch = Batch(pack[0].network, meter)
        if len(pack) == 1:
            rows = batch.prefill(pack[0].cache, pack[0].fresh)[None]
        else:
            parts = [NewTokens(one.cache, one.fresh) for one in pack]
            rows = batch.forward(parts, phase="prefill")
        found = []
        for one, logits in zip(pack, rows, strict=True):
            meter.count("scoring", len(one.fresh))
            judged = _JudgedPrompt(one.tokens, len(one.fresh), one.cache)
            self._keep(run, one.question, judged)
            found.append((judged, logits))
        return found

    def _prefilled(self, run: str, chain: Chain) -> _JudgedPrompt:
        """The last prefix of a chain, prefilled again but not charged if it is not cached."""
        *earlier, question = chain
        if (found := self._judged.get(run, {}).get(question)) is not None:
            return found
        rest = self._rest(run, question, tuple(earlier))
        return self._prefill(run, [rest], Meter(self.clock))[0][0]

    def _keep(self, run: str, question: str, judged: _JudgedPrompt) -> None:
        """Cache a question and drop the oldest beyond the limit, but never the first."""
        kept = self._judged.setdefault(run, {})
        kept.setdefault(question, judged)
        later = list(kept)[1:]
        spare = sum(kept[one].fresh for one in later) - KEPT_TOKENS
        for one in later:
            if spare <= 0:
                break
            spare -= kept.pop(one).fresh

    def _chances(
        self, request: VerdictRequest, judged: _JudgedPrompt, logits: Tensor, meter: Meter
    ) -> tuple[float, ...]:
        tokenizer = self.target.tokenizer
        if request.rule != "text":
            return tuple(next_token_chances(tokenizer, logits, request.choices, request.rule))
        options = self._options(request)
        meter.count("scoring", sum(len(tokens) - 1 for tokens in options))
        batch = Batch(self._network(judged.tokens), meter)
        return tuple(text_chances(batch, judged.cache, logits, options))

    def _options(self, request: VerdictRequest) -> list[tuple[int, ...]]:
        """The tokens of choices that are scored as texts."""
        if request.rule != "text":
            return []
        return [option_tokens(self.target.tokenizer, one) for one in request.choices]

    def _prompt(self, question: str) -> tuple[int, ...]:
        if question in self.known:
            return self.known[question]
        if question not in self._prompts:
            self._prompts[question] = verdict_prompt(self.target, question)
        return self._prompts[question]

    def _network(self, tokens: Sequence[int]) -> Network:
        """The network for texts of this length."""
        return self.target.for_length(len(tokens)).network

    def _check_fits(self, length: int) -> None:
        context = self.target.for_length(length).shape.context
        if length > context:
            raise PromptTooLongError(
                f"a question for a verdict has {length:,} tokens, but {self.target.name} holds "
                f"{context:,}",
                "write shorter answers, show fewer at once, or use a model with a longer context",
            )


def verdict_prompt(model: Model, question: str) -> tuple[int, ...]:
    """The tokens of a question for a verdict; the answer follows without reasoning."""
    asked = [Message("user", question)]
    return messages_prompt(model.tokenizer, model.template, asked, thinking=False).tokens


def _ready(waiting: Mapping[int, tuple[str, Chain]]) -> list[int]:
    """The numbers of the questions whose prefix does not wait itself."""
    found, before = [], set()
    for number, (question, chain) in waiting.items():
        if not chain or chain[-1] not in before:
            found.append(number)
        before.add(question)
    return found


class VerdictInProgress:
    """A verdict request in progress; its prefills run in slices, and nothing is decoded."""

    def __init__(self, request: VerdictRequest, model: VerdictModel) -> None:
        self.request = request
        self._model = model
        self._found: RequestOutcome | None = None
        network, meter = model.target.network, Meter(model.clock)
        nothing = SequenceStart(SequenceCache(0), torch.empty(0))
        self.sequence = TokenSequence(network, meter, lambda: nothing, max_tokens=0)
        self.sequence.prefill = Prefill(self._judge)

    def outcome(self) -> RequestOutcome:
        """The probabilities, or the error."""
        key = self.request.key
        if self._found is not None:
            return self._found
        if (error := self.sequence.error) is not None:
            return RequestOutcome(key, Cost(), error=error)
        return RequestOutcome(key, Cost(), Piece("", (), 0, 0.0, "cancelled"))

    def hold(self) -> None:
        """Do nothing: no cache is kept."""

    def kept(self) -> None:
        """Do nothing: no candidate continues a verdict."""

    def _judge(self) -> None:
        self._found = self._model.outcome(self.request)


def _paired(request: VerdictRequest) -> Iterator[tuple[str, Chain]]:
    """The questions with their chains of prefixes."""
    return zip(request.questions, request.behind, strict=True)
