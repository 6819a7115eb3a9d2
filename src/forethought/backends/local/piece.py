"""Pieces in progress: token events become text and cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from forethought.backends.local.answer_controls import (
    check_writer,
    controls_of,
    end_tokens,
    token_controls,
)
from forethought.backends.local.candidate_cache import CachedCandidate
from forethought.backends.local.dropped_text import dropped_tokens
from forethought.backends.local.local_run import LocalRun
from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.backend import Place, Request, RequestOutcome, TokenDelta
from forethought.contracts.errors import UnsupportedModelError, UsageError
from forethought.contracts.records import Cost
from forethought.contracts.roles import StateProbe
from forethought.contracts.search import NextToken, Piece, ProbeOutput, Writer
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.sampling import SamplingParams, stated
from forethought.engine.scheduler import TokenEvent
from forethought.engine.sequence import Prefill, Sequence, SequenceStart
from forethought.prefill.prepare import PreparedPrompt


@dataclass(eq=False)
class PieceInProgress:
    """A request, its sequence, and the text so far."""

    request: Request
    run: LocalRun
    prompt: PreparedPrompt

    def __post_init__(self) -> None:
        request, recipe, parent = self.request, self.run.recipe, self.request.parent
        self.candidate: CachedCandidate | None = None
        self.log_probability, self.certainty, self.scored_tokens = 0.0, 0.0, 0
        self.delta: TokenDelta | None = None
        """The newest token of a plain answer, to show."""
        self._confidences: list[float] = []
        self._shown: list[str] = []
        self._recent = ""
        tokenizer = self.prompt.target.tokenizer
        self._decoding = tokenizer.decoding(parent.token_ids, self.run.visible)
        self._probes = self.run.probes if parent.writer != "draft" else ()
        controls = controls_of(self.run.controls, request)
        if parent.writer == "draft":
            check_writer(controls, self.run.target, self.prompt.target)
        self._min_tokens, self._scores = controls.min_tokens, controls.score_only
        searched = parent.text if parent.tokens > self._min_tokens else ""
        self._matcher = StopMatcher(recipe.stop, recipe.keep_stop, searched)
        self._controls = token_controls(controls, request, self.prompt)
        self._reasoned = self._reasoning_tokens
        ends = end_tokens(controls, self.prompt.target)
        decodes, sampling = (
            request.max_tokens > 1 and not self._scores,
            sampling_of(request, self.run),
        )
        drafting = self.run.drafting(self.prompt, ends, sampling, request.stream)
        self.sequence = Sequence(
            self.prompt.target.network,
            self.run.meter(parent.writer),
            self._open,
            sampling=sampling,
            stream=request.stream,
            max_tokens=parent.tokens + (0 if self._scores else request.max_tokens),
            ends=ends,
            tokens=list(parent.token_ids),
            forced=[] if request.token is None else [request.token],
            controls=self._controls,
            drafting=drafting if decodes else None,
            prompt_bytes=0 if parent.tokens else self.prompt.cache_bytes,
            token_bytes=0 if parent.tokens else self.prompt.token_bytes,
            owner=self.run.tenant,
        )

    @property
    def opens(self) -> bool:
        """Whether it pays for the prefill of its prompt."""
        return self.request.first and not self.request.parent.tokens

    @property
    def prefill(self) -> Prefill | None:
        """The prefill that the sequence waits for."""
        return self.prompt.prefill if self.candidate is None else None

    @property
    def ready(self) -> bool:
        """Whether it may start: its candidate is the prompt, or has logits."""
        if self.candidate is None:
            return not self.request.parent.tokens
        return self.candidate.logits is not None

    @property
    def finished(self) -> bool:
        """Whether the sequence has finished."""
        return bool(self.sequence.finish)

    def add(self, event: TokenEvent) -> None:
        """Handle an event of the sequence; a stop string or the end of a step ends it."""
        self.delta = None
        if event.sampled is None:
            return
        self.log_probability += event.sampled.log_probability
        self.scored_tokens += 1
        self._confidences.append(event.sampled.confidence)
        token = event.sampled.token
        if token in self.sequence.ends:
            return
        self.certainty += event.sampled.certainty
        fresh = self._decoding.push(token)
        # A stop string counts only after the minimum length, as in vLLM.
        early = len(self.sequence.tokens) <= self._min_tokens
        shown = fresh if early else self._matcher.feed(fresh)
        self._shown.append(shown)
        if self._matcher.stopped:
            self.sequence.finish = "stop"
        elif self.sequence.finish != "full" and self._ends_step(fresh):
            self.sequence.finish = "step"
        if self.run.plain:
            self.delta = self._delta(event, shown)

    def outcome(self) -> RequestOutcome:
        """The outcome of the request, with its cost."""
        request, key = self.request, self.request.key
        metered = self.prompt.plan.evicts_in_decode
        if (drafting := self.sequence.drafting) is not None:
            drafting.close(self.sequence.tokens)
            self.run.meter(request.parent.writer).add(drafting.meter)
        if self.opens:
            self.run.charge_prefill(self.prompt, request.parent.writer)
        cost = self.run.charged(request.parent.writer, self._cost(), metered=metered)
        if (error := self.sequence.error) is not None:
            return RequestOutcome(key, cost, error=error)
        try:
            probed = self._probed()
        except UnsupportedModelError as error:
            return RequestOutcome(key, cost, error=error)
        cost = cost.plus(Cost(flops=sum(one.flops for one in self._read_by())))
        reports_prompt = (
            self.opens and not request.parent.question and self.prompt.result is not None
        )
        opened = self.run.opened(request) if reports_prompt else None
        if request.top and self.sequence.finish != "cancelled":
            try:
                following = self._following()
            except UsageError as error:  # the controls leave no token
                return RequestOutcome(key, cost, error=error)
            return RequestOutcome(key, cost, opened=opened, following=following, probed=probed)
        return RequestOutcome(key, cost, replace(self._piece(), probed=probed), opened=opened)

    def _read_by(self) -> list[StateProbe]:
        """The probes that read a state of this request."""
        at_prompt, sampled = not self.request.parent.tokens, self.scored_tokens > 0
        if self.sequence.finish == "cancelled" or self.candidate is None:
            return []
        return [one for one in self._probes if (at_prompt if one.at_prompt else sampled)]

    def _probed(self) -> tuple[ProbeOutput, ...]:
        """The outputs of the probes of the prompt and of the newest token."""
        if not (reading := self._read_by()):
            return ()
        assert self.candidate is not None, "its states are those of a candidate"
        start = [one for one in reading if one.at_prompt]
        end = [one for one in reading if not one.at_prompt]
        run = self.run
        return run.probed(start, self.candidate.state) + run.probed(end, self.sequence.state)

    def hold(self) -> None:
        """Keep the cache of an answer, for the next turn of its conversation."""
        if self.run.plain and self.sequence.cache is not None:
            self.prompt.store_answer(self.sequence.tokens, self.sequence.cache)
        if self.run.holds and self.sequence.cache is not None:
            self.run.answer = self.sequence.cache, self.sequence.tokens

    def kept(self) -> tuple[Place, CachedCandidate] | None:
        """The place and the cached candidate at the end of the piece, if others may continue it."""
        request, before, tokens = self.request, self.candidate, self.sequence.tokens
        open_ends = ("step", "length", "stop") if request.keep else ("step", "length")
        if request.top or self._scores or before is None or self.sequence.finish not in open_ends:
            return None
        parent = request.parent
        place = parent.writer, parent.question, request.path, len(tokens), parent.dropped
        if len(tokens) == parent.tokens:  # it ended at once
            return place, before
        single = request.max_tokens == 1
        found = CachedCandidate(
            None if single else self.sequence.cache,
            newest=tokens[-1],
            parent=before if single else None,
            root=before.root or before,
            one_segment=not any(request.path),
        )
        if self.sequence.finish == "stop" and not self.sequence.uncached:
            found.close()
        return place, found

    def _open(self) -> SequenceStart:
        """Return the cache that the sequence continues, once its candidate is cached."""
        prompt, sequence = self.prompt, self.sequence
        if self.candidate is None:
            self.candidate = self.run.root(prompt, self.request)
        sequence.network = prompt.network
        room = prompt.room + len(dropped_tokens(prompt.target.tokenizer, self.request.parent))
        sequence.finish_at_max = "length" if sequence.max_tokens < room else "full"
        sequence.max_tokens = min(sequence.max_tokens, room)
        if sequence.prompt_bytes:  # a draft's entries are gone
            sequence.prompt_bytes = prompt.cache_bytes
        sequence.decode_eviction = prompt.decode_eviction()
        cache = self._cache(self.candidate)
        held = [one for one in (cache, self.candidate.cache) if one is not None]
        sequence.meter.track_peak(held)
        if sequence.drafting is not None:
            sequence.drafting.open(sequence.network, cache)
        return SequenceStart(cache, self.candidate.logits, self.candidate.state)

    def _cache(self, candidate: CachedCandidate) -> SequenceCache:
        """The cache to decode into; the candidate's own if no token will be decoded."""
        prompt = self.prompt
        if self.request.max_tokens <= 1:
            return candidate.own_cache()
        prompt.waiting -= 1
        if prompt.plan.evicts_in_decode and prompt.waiting:
            return candidate.copy()
        # The first candidate equals the answer of a run with one candidate, bit for bit.
        one_segment = not any(self.request.path) or prompt.plan.evicts_in_decode
        return candidate.continued(one_segment=one_segment)

    def _ends_step(self, fresh: str) -> bool:
        """Whether the new text ends a step."""
        if self.request.until != "step":
            return False
        delimiter = self.request.delimiter
        self._recent += fresh
        found = delimiter in self._recent
        self._recent = self._recent[-len(delimiter) + 1 :] if len(delimiter) > 1 else ""
        return found

    def _delta(self, event: TokenEvent, shown: str) -> TokenDelta:
        assert event.sampled is not None, "a delta has a token"
        chosen, text_of = event.sampled, self.prompt.target.tokenizer.decode
        top = tuple((token, text_of([token]), chance) for token, chance in chosen.top)
        reasoned = self._controls is not None and self._controls.reasoned
        key, chance = self.request.key, chosen.log_probability
        return TokenDelta(key, shown, chosen.token, chance, top, reasoned)

    @property
    def _reasoning_tokens(self) -> int:
        return 0 if self._controls is None else self._controls.reasoning_tokens

    def _piece(self) -> Piece:
        fresh = tuple(self.sequence.tokens[self.request.parent.tokens :])
        stopped = self._matcher.stopped
        text = "".join(self._shown)
        return Piece(
            text=text if stopped else text + self._matcher.finish(),
            token_ids=fresh,
            tokens=len(fresh),
            log_probability=self.log_probability,
            finish=self.sequence.finish,
            # An incomplete character at the end is kept for the next piece.
            rest="" if stopped else self._decoding.finish(),
            certainty=self.certainty,
            token_confidences=tuple(self._confidences) if self.request.confident else None,
            scored_tokens=self.scored_tokens,
            back=self._matcher.back,
            reasoning_tokens=self._reasoning_tokens - self._reasoned,
        )

    def _cost(self) -> Cost:
        """The cost of its tokens, and of the prefill that it pays for."""
        parent, meter = self.request.parent, Meter(self.run.clock)
        spent = as_writer(parent.writer, self.prompt.spent()) if self.opens else Cost()
        candidate, newest = self.candidate, 0
        if candidate is not None and self.request.first and parent.tokens:
            newest = candidate.encoded
        if candidate is not None and (steps := newest + self.sequence.steps):
            past, rows = tuple(held - newest for held in candidate.entries), min(newest, 1)
            rows += self.sequence.steps
            meter.forward(self.prompt.network.shape, 0, [(past, steps)], rows, None)
            spent = spent.plus(Cost(prompt_tokens=newest if newest > 1 else 0))
        count = len(self.sequence.tokens) - parent.tokens
        spent = spent.plus(Cost(flops=meter.flops)).plus(decoded_by(parent.writer, count))
        if self.prompt.plan.thinning is not None and self.candidate is not None:
            spent = spent.plus(self._parameters(newest))
        if (drafting := self.sequence.drafting) is None:
            return spent
        drafted = drafting.meter.tokens.get("draft", 0)
        return spent.plus(Cost(draft_tokens=drafted, flops=drafting.flops + drafting.meter.flops))

    def _parameters(self, newest: int) -> Cost:
        """The parameters that the decode passes of its tokens used, and those of full passes."""
        steps, full = newest + self.sequence.steps, self.prompt.target.shape.parameters
        networks, drafting = self.prompt.networks, self.sequence.drafting
        assert networks is not None, "a candidate's prompt is prefilled"
        passes = steps if drafting is None else newest + drafting.passes
        sparse = 0 if drafting is None else drafting.sparse_passes
        read = passes * networks.decoding.shape.parameters
        read += sparse * networks.sparse.shape.parameters
        return Cost(read_parameters=read, full_parameters=steps * full)

    def _following(self) -> tuple[NextToken, ...]:
        """The top next tokens, and the best end token, of the law that the controls leave."""
        assert self.candidate is not None, "an open sequence has a candidate"
        logits, ends, top = self.candidate.logits, self.sequence.ends, self.request.top
        assert logits is not None, "its newest token has an entry"
        if self._controls is not None:
            logits = self._controls.law(logits)
        best = stated(logits, int(logits.argmax()), top + len(ends)).top
        on = [NextToken(token, chance) for token, chance in best if token not in ends]
        on = [one for one in on if one.log_probability > -math.inf]
        open_ends = [end for end in ends if logits[end] > -math.inf]
        last = [NextToken(end, stated(logits, end).log_probability, True) for end in open_ends]
        last.sort(key=_likeliest_first)
        return tuple(sorted([*on[:top], *last[:1]], key=_likeliest_first))


def sampling_of(request: Request, run: LocalRun) -> SamplingParams:
    """The sampling parameters of a request."""
    recipe, given = run.recipe, request.temperature
    return SamplingParams(
        temperature=recipe.warmth if given is None else given,
        top_k=recipe.top_k,
        top_p=recipe.top_p,
        min_p=recipe.min_p,
        seed=request.seed,
        top_logprobs=recipe.logprobs,
        certainty=not run.plain,
        confidence=request.confident,
    )


def decoded_by(writer: Writer, tokens: int) -> Cost:
    """Decoded tokens as a cost, counted for the model that decoded them."""
    return Cost(draft_tokens=tokens) if writer == "draft" else Cost(output_tokens=tokens)


def as_writer(writer: Writer, prefill: Cost) -> Cost:
    """The cost of a prefill, its tokens counted for the model that ran it."""
    if writer != "draft":
        return prefill
    return replace(prefill, prompt_tokens=0, draft_tokens=prefill.prompt_tokens)


def _likeliest_first(one: NextToken) -> tuple[float, int]:
    return -one.log_probability, one.token
