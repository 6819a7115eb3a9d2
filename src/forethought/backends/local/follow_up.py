"""Questions behind the cache of a candidate: only the question is prefilled, nothing is decoded."""

from __future__ import annotations

from forethought.backends.local.choice_scores import word_chances
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.scoring_pass import ScoringPass
from forethought.contracts.backend import Request, RequestOutcome
from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Cost
from forethought.contracts.search import Piece
from forethought.cost.flops import answer_flops, causal_pairs, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import next_turn
from forethought.models.model import Model
from forethought.prefill.prepare import PreparedPrompt


class FollowUpInProgress(ScoringPass):
    """A question about a candidate as the next turn of its conversation.

    It waits for the candidate's cache, prefills the turn behind it, and reads one row of logits.
    """

    def __init__(self, request: Request, run: LocalRun, prompt: PreparedPrompt) -> None:
        super().__init__(request, run, prompt)
        self._chances: tuple[float, ...] = ()

    def outcome(self) -> RequestOutcome:
        """The probabilities of the choices, with their cost, or the error."""
        key, writer = self.request.key, self.request.parent.writer
        cost = self.run.charged(writer, Cost(flops=self._newest_flops()), metered=False)
        cost = cost.plus(self._meter.cost(0.0))
        if (error := self.sequence.error) is not None:
            return RequestOutcome(key, cost, error=error)
        if not self._chances:
            return RequestOutcome(key, cost, Piece("", (), 0, 0.0, "cancelled"))
        return RequestOutcome(key, cost, chances=(self._chances,))

    def _read(self) -> None:
        """Prefill the turn behind the candidate, and leave its cache as it was."""
        assert self.candidate is not None, "its cache was waited for"
        model, turn = self.prompt.target, turn_tokens(self.prompt.target, self.request.turn)
        with self.candidate.lent() as cache:
            _check_fits(model, cache.next + len(turn))
            logits = Batch(model.network, self._meter).prefill(cache, turn)
        self._meter.count("scoring", len(turn))
        self._chances = tuple(word_chances(model.tokenizer, logits, self.request.choices))

    def _newest_flops(self) -> float:
        """FLOPs of the decode step of the candidate's newest token, if this request pays for it."""
        if self.candidate is None or not pays_newest(self.request):
            return 0.0
        meter = Meter(self.run.clock)
        past = tuple(held - 1 for held in self.candidate.entries)
        meter.forward(self.prompt.network.shape, 0, [(past, 1)], 1, None)
        return meter.flops


def pays_newest(request: Request) -> bool:
    """Whether the newest token of the parent gets its entry, and is paid, by this request.

    An answer that ended with an end token has an entry for each of its tokens.
    """
    return request.first and request.parent.tokens > 0 and request.parent.finish != "stop"


def follow_up_bound(request: Request, prompt: PreparedPrompt) -> float:
    """An upper bound on the FLOPs of a follow-up question."""
    shape, fresh = prompt.target.shape, len(turn_tokens(prompt.target, request.turn))
    past = len(prompt.prompt) + request.parent.tokens
    pairs = [causal_pairs(past, fresh, layer.window) for layer in shape.layers]
    newest = answer_flops(shape, past, 1) if pays_newest(request) else 0.0
    return newest + forward_flops(shape, fresh, pairs, logits=1)


def turn_tokens(model: Model, question: str) -> tuple[int, ...]:
    """The tokens between an answer and the reply to the next question, without reasoning."""
    return next_turn(model.tokenizer, model.template, question, thinking=False).tokens


def _check_fits(model: Model, length: int) -> None:
    context = model.for_length(length).shape.context
    if length > context:
        raise PromptTooLongError(
            f"an answer and the question about it have {length:,} tokens, but {model.name} holds "
            f"{context:,}",
            "write shorter answers, or use a model with a longer context",
        )
