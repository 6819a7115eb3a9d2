"""Workers that write one answer in lockstep over shared blocks of the KV cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from forethought.backends.local.answer_controls import end_tokens
from forethought.backends.local.choice_scores import label_tokens
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.piece import sampling_of
from forethought.backends.local.scoring_pass import ScoringPass, check_fits
from forethought.contracts.backend import Request, RequestOutcome
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Cost
from forethought.contracts.search import Piece, WorkerPlan
from forethought.cost.flops import answer_flops
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.sampling import Choice, choose_all
from forethought.engine.shared_blocks import (
    BlockView,
    check_shareable,
    forward_views,
    move_block,
)
from forethought.models.hardware.sliced_task import pause
from forethought.models.tokenization.tokenizer import Tokenizer
from forethought.prefill.prepare import PreparedPrompt


@dataclass(eq=False)
class _Worker:
    """One worker: the block of its unfinished step, and its tokens."""

    number: int
    stream: int
    block: SequenceCache
    text: str = ""
    """Text of the unfinished step."""
    tokens: list[int] = field(default_factory=list)
    """Tokens of the unfinished step."""
    feed: list[int] = field(default_factory=list)
    """Tokens that have no entry yet."""
    sampled: int = 0
    """Tokens that the model chose."""
    steps: int = 1
    asked_at: int = 0
    """Tokens sampled when the worker was last asked whether it repeats others."""


class WorkersInProgress(ScoringPass):
    """A request of several workers; it runs in slices and reports its text at the end."""

    def __init__(self, request: Request, run: LocalRun, prompt: PreparedPrompt) -> None:
        super().__init__(request, run, prompt)
        assert request.plan is not None, "workers have a plan"
        self._plan: WorkerPlan = request.plan
        self._tokenizer: Tokenizer = prompt.target.tokenizer
        self._ends = end_tokens(run.controls, prompt.target)
        if run.recipe.stop or not run.controls.default:
            raise UsageError(
                "workers that share a cache take no stop strings and no controls of tokens",
                "leave them out, or use another search",
            )
        check_shareable(prompt.target.network)
        self._left = self._plan.reserve + len(self._tokenizer.encode(self._plan.ending))
        self._log_probability, self._scored, self._certainty = 0.0, 0, 0.0
        self._done: list[int] = []
        """Tokens of finished steps, in order of completion."""
        self._workers: list[_Worker] = []
        self._finish = ""

    def outcome(self) -> RequestOutcome:
        """The text of all workers as a piece, with its cost, or the error."""
        key, writer = self.request.key, self.request.parent.writer
        cost = self.run.charged(writer, self._before(), metered=False)
        cost = cost.plus(self._meter.cost(0.0))
        if (error := self.sequence.error) is not None:
            return RequestOutcome(key, cost, error=error)
        return RequestOutcome(key, cost, self._piece(), opened=self._opened())

    def _read(self) -> None:
        """Decode with all workers until one of them answers or no token is left."""
        assert self.candidate is not None, "its cache was waited for"
        assert self.candidate.logits is not None, "a cached prompt has logits"
        network = self.prompt.target.network
        root = SequenceCache.copy_at(self.candidate.start)
        check_fits(self.prompt.target, root.next + self.request.max_tokens)
        layers = len(network.shape.layers)
        self._history = SequenceCache(layers)
        self._headings = [self._heading(root, text) for text in self._plan.headings]
        self._workers = [_Worker(n, self._stream(n), SequenceCache(layers))
                         for n in range(self._plan.workers)]  # fmt: skip
        self._root = root
        logits = self.candidate.logits[None]
        for worker, opening in zip(self._workers, self._plan.openings, strict=True):
            self._insert(worker, opening)
        self._check_room()
        if self._finish and self.request.max_tokens >= self.run.recipe.max_tokens:
            raise self._no_room()  # less than the recipe allows is what a budget has left
        if not self._finish and not self._plan.alone:
            logits = self._pass()
        while not self._finish:
            self._choose(logits)
            self._check_room()
            if not self._finish:
                logits = self._pass()
                pause()

    def _heading(self, root: SequenceCache, text: str) -> SequenceCache:
        """A block with the entries of a heading behind the prompt."""
        block = SequenceCache(len(self.prompt.target.network.shape.layers))
        tokens = self._tokenizer.encode(text)
        forward_views(self.prompt.target.network, self._meter, [BlockView((root, block))], [tokens])
        self._meter.count("prompt", len(tokens))
        return block

    def _pass(self) -> Tensor:
        """One pass over the tokens without entries of all workers: logits [W, V]."""
        views = [BlockView(tuple(self._view(one))) for one in self._workers]
        fed = [one.feed for one in self._workers]
        logits = forward_views(self.prompt.target.network, self._meter, views, fed)
        for one in self._workers:
            one.feed = []
        return logits

    def _view(self, worker: _Worker) -> Iterator[SequenceCache]:
        """The blocks that a worker sees, in order."""
        yield self._root
        others = [one.block for one in self._workers if one is not worker]
        layout = self._plan.layout
        if layout != "contiguous" and self._history.next:
            yield self._history
        if layout != "interleaved" and others:
            yield from self._headings[:1]
            yield from others
            yield from self._headings[1:]
        yield worker.block

    def _choose(self, logits: Tensor) -> None:
        """Sample a token of every worker; ends the run if an answer or all tokens are there."""
        sampling = sampling_of(self.request, self.run)
        adjusted = [None] if self._plan.alone else list(self._masked(logits))
        choices = [
            Choice(sampling, one.stream, one.sampled, adjusted=row)
            for one, row in zip(self._workers, adjusted, strict=True)
        ]
        drawn = choose_all(list(logits), choices)
        for worker, chosen in zip(self._workers, drawn, strict=True):
            chosen.checked()
            self._log_probability += chosen.log_probability
            self._scored += 1
            if chosen.token in self._ends:
                self._finish = "stop"
                return
            self._certainty += chosen.certainty
            self._meter.count("output", 1)
            worker.sampled += 1
            self._take(worker, [chosen.token])
        if any(self._answers(one) for one in self._workers):
            self._finish = "stop"
            return
        for worker in self._workers:
            if self._ends_step(worker):
                self._next_step(worker)

    def _check_room(self) -> None:
        """End the run if not every worker can write a further token."""
        if not self._finish and self._room < len(self._workers):
            self._finish = "length"

    def _no_room(self) -> UsageError:
        """The error of an answer that is too short for a word of each worker."""
        workers, most = len(self._workers), self.request.max_tokens
        return UsageError(
            f"max_tokens={most} leaves no token for each of {workers} workers: their openings and "
            f"the end of the answer take {most - self._room}",
            "allow more tokens with --max-tokens",
        )

    def _masked(self, logits: Tensor) -> Tensor:
        """The logits [W, V] without end tokens and forbidden ones."""
        named = {token for text in self._plan.forbidden
                 for token in label_tokens(self._tokenizer, text)}  # fmt: skip
        hidden = torch.tensor(sorted({*named, *self._ends}), device=logits.device)
        return logits.index_fill(1, hidden, -torch.inf)

    @property
    def _room(self) -> int:
        """Tokens that the answer may still get."""
        most = self.request.max_tokens - self._left
        return most - len(self._done) - sum(len(one.tokens) for one in self._workers)

    def _take(self, worker: _Worker, tokens: list[int]) -> None:
        """Add tokens to a worker's step."""
        worker.tokens += tokens
        worker.feed += tokens
        worker.text = self._tokenizer.decode(worker.tokens)

    def _insert(self, worker: _Worker, text: str) -> None:
        """Add a text of the plan to a worker's step."""
        tokens = self._tokenizer.encode(text) if text else []
        self._meter.count("prompt", len(tokens))
        self._take(worker, list(tokens))

    def _answers(self, worker: _Worker) -> bool:
        mark = self._plan.answered
        return bool(mark) and "}" in worker.text.partition(mark)[2]

    def _ends_step(self, worker: _Worker) -> bool:
        """Whether the newest token has the blank line behind a whole sentence."""
        if self._plan.alone or self._plan.layout == "contiguous":
            return False
        delimiter, ends = self._plan.delimiter, tuple(self._plan.sentence_ends)
        before, found, _ = worker.text.rpartition(delimiter)
        newest = delimiter in self._tokenizer.decode(worker.tokens[-1:])
        return bool(found) and newest and (not ends or before.rstrip().endswith(ends))

    def _next_step(self, worker: _Worker) -> None:
        """Move a finished step to the history; its newest token begins the next one."""
        newest = worker.tokens.pop()
        move_block(self.prompt.target.network, worker.block, self._history)
        self._done += worker.tokens
        worker.block = SequenceCache(len(worker.block.tail.layers))
        worker.tokens, worker.feed, worker.text = [], [], ""
        worker.steps += 1
        self._take(worker, [newest])
        prefix = self._plan.prefixes[worker.number].format(step=worker.steps)
        if self._plan.interval and worker.sampled - worker.asked_at >= self._plan.interval:
            prefix, worker.asked_at = prefix + self._plan.question, worker.sampled
        if len(self._tokenizer.encode(prefix)) <= self._room:
            self._insert(worker, prefix)

    def _stream(self, number: int) -> int:
        """The random stream of a worker; the first one has the request's own."""
        if not number:
            return self.request.stream
        named = repr(("worker", self.request.stream, number))
        return int.from_bytes(hashlib.sha256(named.encode()).digest()[:7])

    def _piece(self) -> Piece:
        """The finished steps, then the unfinished ones of every worker."""
        tokens = (*self._done, *(token for one in self._workers for token in one.tokens))
        decoding = self._tokenizer.decoding()
        text = "".join(decoding.push(token) for token in tokens)
        return Piece(
            text,
            tokens,
            len(tokens),
            self._log_probability,
            self._finish or "cancelled",
            rest=decoding.finish(),
            certainty=self._certainty,
            scored_tokens=self._scored,
        )


def workers_bound(plan: WorkerPlan, prompt: PreparedPrompt) -> Cost:
    """An upper bound on the cost of the headings."""
    tokens = sum(len(prompt.target.tokenizer.encode(text)) for text in plan.headings)
    past = len(prompt.prompt) + tokens
    return Cost(flops=answer_flops(prompt.target.shape, past, 1) * tokens)
