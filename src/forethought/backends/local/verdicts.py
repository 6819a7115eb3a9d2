"""Probabilities of one-word answers by a local model; common prefixes are prefilled once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from forethought.backends.verdict_prefixes import Chain, common_prefix
from forethought.contracts.backend import RequestOutcome, VerdictRequest
from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Cost
from forethought.contracts.roles import Network
from forethought.contracts.search import Piece
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Clock, Meter
from forethought.engine.sequence import Prefill, SequenceStart
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.models.chat.prompt import chat_prompt
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


@dataclass
class VerdictModel:
    """A model that gives verdicts.

    A question continues the longest judged prefix, such as a document or the steps of an answer,
    and prefills only the rest.
    """

    target: Model
    clock: Clock
    _judged: dict[str, dict[str, _JudgedPrompt]] = field(default_factory=dict)
    """By run and question, oldest first."""

    def flops(self, request: VerdictRequest) -> float:
        """FLOPs of the prefill of all tokens that are not cached."""
        shape, found = self.target.shape, 0.0
        for question, chain in _paired(request):
            tokens = self._prompt(question)
            shared = self._shared(self._prompt(chain[-1]), tokens) if chain else 0
            fresh = len(tokens) - shared
            pairs = [causal_pairs(shared, fresh, layer.window) for layer in shape.layers]
            found += forward_flops(shape, fresh, pairs, logits=1)
        return found

    def outcome(self, request: VerdictRequest) -> RequestOutcome:
        """The probability of each choice for each question, normalised over the choices."""
        for question in request.questions:
            self._check_fits(len(self._prompt(question)))
        meter = Meter(self.clock)
        chances = tuple(
            self._chances(self._prefill(request.run, question, chain, meter)[1], request.choices)
            for question, chain in _paired(request)
        )
        return RequestOutcome(request.key, meter.cost(0.0), chances=chances)

    def release(self, run: str) -> None:
        """Free the cache entries of a run."""
        self._judged.pop(run, None)

    def _shared(self, first: Sequence[int], tokens: Sequence[int]) -> int:
        """Length of the common prefix, without the last token, whose logits give the verdict."""
        if self._network(first) is not self._network(tokens):
            return 0
        return min(common_prefix(first, tokens), len(tokens) - 1)

    def _prefill(
        self, run: str, question: str, chain: Chain, meter: Meter
    ) -> tuple[_JudgedPrompt, Tensor]:
        """Prefill a question after the last prefix of its chain; returns it and its logits [V]."""
        tokens = self._prompt(question)
        cache, shared = SequenceCache(len(self.target.shape.layers), len(tokens)), 0
        if chain:
            before = self._prefilled(run, chain)
            shared = self._shared(before.tokens, tokens)
            cache = before.cache.before(shared)
            cache.reserve = len(tokens) - shared
        logits = Batch(self._network(tokens), meter).prefill(cache, tokens[shared:])
        meter.count("scoring", len(tokens) - shared)
        judged = _JudgedPrompt(tokens, len(tokens) - shared, cache)
        self._keep(run, question, judged)
        return judged, logits

    def _prefilled(self, run: str, chain: Chain) -> _JudgedPrompt:
        """The last prefix of a chain, prefilled again but not charged if it is not cached."""
        *earlier, question = chain
        found = self._judged.get(run, {}).get(question)
        return found or self._prefill(run, question, tuple(earlier), Meter(self.clock))[0]

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

    def _chances(self, logits: Tensor, choices: Sequence[str]) -> tuple[float, ...]:
        whole = torch.log_softmax(logits.double(), 0)
        # A choice is its first token in all spellings: "Yes", " Yes", "yes", " yes".
        each = torch.stack([torch.logsumexp(whole[self._first_tokens(one)], 0) for one in choices])
        return tuple(torch.softmax(each, 0).tolist())

    def _first_tokens(self, choice: str) -> list[int]:
        spellings = {f"{space}{word}" for space in ("", " ") for word in (choice, choice.lower())}
        return sorted({self.target.tokenizer.encode(text)[0] for text in spellings})

    def _prompt(self, question: str) -> tuple[int, ...]:
        return chat_prompt(self.target.tokenizer, self.target.template, question).tokens

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
