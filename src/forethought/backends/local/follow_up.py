"""Questions behind the cache of a candidate: only the question is prefilled, nothing is decoded."""

from __future__ import annotations

from forethought.backends.local.choice_scores import next_token_chances
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.scoring_pass import ScoringPass, check_fits, pays_newest
from forethought.contracts.backend import Request, RequestOutcome
from forethought.contracts.records import Cost
from forethought.contracts.search import Piece
from forethought.cost.flops import answer_flops, causal_pairs, forward_flops
from forethought.engine.batch import Batch
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
        request, model = self.request, self.prompt.target
        turn = turn_tokens(model, request)
        with self.candidate.lent() as cache:
            check_fits(model, cache.next + len(turn))
            logits = Batch(model.network, self._meter).prefill(cache, turn)
        self._meter.count("scoring", len(turn))
        found = next_token_chances(model.tokenizer, logits, request.choices, request.rule)
        self._chances = tuple(found)


def follow_up_bound(request: Request, prompt: PreparedPrompt) -> float:
    """An upper bound on the FLOPs of a follow-up question."""
    shape, fresh = prompt.target.shape, len(turn_tokens(prompt.target, request))
    past = len(prompt.prompt) + request.parent.tokens
    pairs = [causal_pairs(past, fresh, layer.window) for layer in shape.layers]
    newest = answer_flops(shape, past, 1) if pays_newest(request) else 0.0
    return newest + forward_flops(shape, fresh, pairs, logits=1)


def turn_tokens(model: Model, request: Request) -> tuple[int, ...]:
    """The tokens between an answer and the rest of the reply to a turn, without reasoning."""
    asked = next_turn(model.tokenizer, model.template, request.turn, thinking=False).tokens
    return (*asked, *(model.tokenizer.encode(request.reply) if request.reply else ()))
