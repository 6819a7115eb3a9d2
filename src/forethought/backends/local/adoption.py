"""Steps of another model, prefilled behind a candidate, which then ends with them."""

from __future__ import annotations

from forethought.backends.local.candidate_cache import CachedCandidate
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.scoring_pass import ScoringPass, check_fits, pays_newest
from forethought.contracts.backend import Place, Request, RequestOutcome
from forethought.contracts.search import Candidate, Piece
from forethought.cost.flops import answer_flops, causal_pairs, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.prefill.prepare import PreparedPrompt


class AdoptionInProgress(ScoringPass):
    """The newest step of another candidate, behind the cache of the request's parent.

    The step keeps its token ids if both models have one tokenizer; else its text is tokenized anew.
    """

    def __init__(self, request: Request, run: LocalRun, prompt: PreparedPrompt) -> None:
        super().__init__(request, run, prompt)
        self._step = adopted_tokens(request, run, prompt)
        self._cache: SequenceCache | None = None
        self._found: CachedCandidate | None = None

    def outcome(self) -> RequestOutcome:
        """The step as a piece, with its cost, or the error."""
        request, writer = self.request, self.request.parent.writer
        cost = self.run.charged(writer, self._before(), metered=False)
        cost = cost.plus(self._meter.cost(0.0))
        if (error := self.sequence.error) is not None:
            return RequestOutcome(request.key, cost, error=error)
        if self._found is None:
            return RequestOutcome(request.key, cost, Piece("", (), 0, 0.0, "cancelled"))
        return RequestOutcome(request.key, cost, self._piece(), opened=self._opened())

    def kept(self) -> tuple[Place, CachedCandidate] | None:
        """The candidate that ends with the step."""
        if self._found is None:
            return None
        parent = self.request.parent
        length = parent.tokens + len(self._step)
        place = parent.writer, parent.question, self.request.path, length, parent.dropped
        return place, self._found

    def _read(self) -> None:
        """Prefill the step, and keep its entries."""
        assert self.candidate is not None, "its cache was waited for"
        if not self._step:
            self._found = self.candidate
            return
        one_segment = not any(self.request.path)
        cache = self.candidate.continued(one_segment=one_segment)
        check_fits(self.prompt.target, cache.next + len(self._step))
        final = FinalStates()
        batch = Batch(self.prompt.target.network, self._meter, final=final)
        logits = batch.prefill(cache, self._step)
        kind = "draft" if self.request.parent.writer == "draft" else "scoring"
        self._meter.count(kind, len(self._step))
        root = self.candidate.root or self.candidate
        self._found = CachedCandidate(cache, root=root, one_segment=one_segment)
        self._found.take_logits(logits, final.last)
        self._meter.track_peak([cache])

    def _piece(self) -> Piece:
        """The step; its probabilities under this model are not known."""
        step, parent = _adopted(self.request), self.request.parent
        fresh = step.steps[-1] if step.steps else ""
        back = len(parent.text) + len(fresh) - len(step.text)
        return Piece(fresh, self._step, len(self._step), 0.0, step.finish or "step", back=back)


def adopted_tokens(request: Request, run: LocalRun, prompt: PreparedPrompt) -> tuple[int, ...]:
    """The tokens of the adopted step in the model that adopts it."""
    step, tokenizer = _adopted(request), prompt.target.tokenizer
    count = step.lengths[-1] if step.lengths else 0
    author = run.draft if step.writer == "draft" else run.target
    if count and author.tokenizer.fingerprint == tokenizer.fingerprint:
        return step.token_ids[len(step.token_ids) - count :]
    return tuple(tokenizer.encode(step.steps[-1])) if step.steps and step.steps[-1] else ()


def adoption_bound(request: Request, run: LocalRun, prompt: PreparedPrompt) -> float:
    """An upper bound on the FLOPs of an adopted step, without the prompt's prefill."""
    shape, fresh = prompt.target.shape, len(adopted_tokens(request, run, prompt))
    past = len(prompt.prompt) + request.parent.tokens
    pairs = [causal_pairs(past, fresh, layer.window) for layer in shape.layers]
    newest = answer_flops(shape, past, 1) if pays_newest(request) else 0.0
    return newest + forward_flops(shape, fresh, pairs, logits=1)


def _adopted(request: Request) -> Candidate:
    assert request.adopted is not None, "an adoption has a step"
    return request.adopted
