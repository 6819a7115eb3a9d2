"""Readings of given texts behind the prompt: probabilities and attention, nothing is decoded."""

from __future__ import annotations

import torch
from torch import Tensor

from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.scoring_pass import ScoringPass
from forethought.backends.verdict_prefixes import common_prefix
from forethought.contracts.backend import Request, RequestOutcome
from forethought.contracts.errors import PromptTooLongError, UnsupportedModelError
from forethought.contracts.records import Cost, ModelShape
from forethought.contracts.search import Piece, Reading, Reread
from forethought.contracts.views import LayerView
from forethought.cost.flops import causal_pairs, forward_flops, rows_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook, NewTokens
from forethought.engine.sampling import stated
from forethought.models.hardware.sliced_task import pause
from forethought.models.model import Model
from forethought.numerics.attention_rows import SharpestRows, cosines
from forethought.prefill.prepare import PreparedPrompt
from forethought.prefill.prompt_logprobs import block_tokens


class ReadingInProgress(ScoringPass):
    """The texts of a request behind the cache of the prompt.

    The first text is prefilled whole. Later texts continue the prefix that they share with it.
    """

    def __init__(self, request: Request, run: LocalRun, prompt: PreparedPrompt) -> None:
        super().__init__(request, run, prompt)
        self._readings: tuple[Reading, ...] = ()

    @property
    def asked(self) -> Reread:
        """The texts, and what to report of them."""
        assert self.request.reread is not None, "a request for readings has texts"
        return self.request.reread

    def outcome(self) -> RequestOutcome:
        """The readings with their cost, or the error."""
        key, cost = self.request.key, self._meter.cost(0.0)
        if (error := self.sequence.error) is not None:
            return RequestOutcome(key, cost, error=error)
        if len(self._readings) < len(self.asked.texts):
            return RequestOutcome(key, cost, Piece("", (), 0, 0.0, "cancelled"))
        return RequestOutcome(key, cost, readings=self._readings)

    def _read(self) -> None:
        """Read all texts, and leave the prompt's cache as it was."""
        assert self.candidate is not None, "its cache was waited for"
        texts, model = self.asked.texts, self.prompt.target
        root = SequenceCache.copy_at(self.candidate.start)
        _check_fits(model, root.next + max(map(len, texts), default=0))
        start, first = root.next, self.candidate.logits
        assert first is not None, "a cached prompt has logits"
        base = _TextReader(self, root)
        rows = base.read(texts[0], first)
        found = [base.reading(texts[0], rows)]
        for text in texts[1:]:
            shared = common_prefix(texts[0], text)
            later = _TextReader(self, root.before(start + shared))
            logits = later.read(text[shared:], rows[shared])
            found.append(later.reading(text, torch.cat([rows[:shared], logits])))
        self._readings = tuple(found)

    @property
    def batch(self) -> Batch:
        """The passes of this request."""
        return Batch(self.prompt.target.network, self._meter)

    def count(self, tokens: int) -> None:
        """Count tokens that are read only to score them."""
        self._meter.count("scoring", tokens)


class _TextReader:
    """One text in progress: its cache, attention rows and hidden states."""

    def __init__(self, work: ReadingInProgress, cache: SequenceCache) -> None:
        self._work, self._cache = work, cache
        self._rows = SharpestRows(work.asked.heads, work.asked.recency)
        self._states: list[Tensor] = []
        self._before = 0

    def read(self, tokens: tuple[int, ...], first: Tensor) -> Tensor:
        """Prefill tokens; returns logits [N + 1, V], the first row being that before them."""
        size = block_tokens(self._work.prompt.target.shape.vocabulary)
        rows = [first[None].float()]
        for start in range(0, len(tokens), size):
            block = tokens[start : start + size]
            self._before = start
            part = NewTokens(self._cache, block)
            hook = LayerHook(self._tap, 0) if self._work.asked.heads else None
            found = self._work.batch.forward([part], phase="prefill", hook=hook, every=True)
            self._work.count(len(block))
            rows.append(found.float())
            pause()
        return torch.cat(rows)

    def reading(self, tokens: tuple[int, ...], rows: Tensor) -> Reading:
        """What logits [N + 1, V] and the attention say of a text."""
        top = self._work.asked.top
        said = [stated(row, token, top) for row, token in zip(rows, tokens, strict=False)]
        chances = tuple(one.log_probability for one in said)
        best = tuple(one.top for one in said)
        if not self._states:
            return Reading(chances, best)
        tokenizer = self._work.prompt.target.tokenizer
        states = torch.cat(self._states).double().cpu().numpy()
        texts = tuple(tokenizer.decode([token]) for token in tokens)
        return Reading(chances, best, texts, self._rows.strongest(len(tokens)), cosines(states))

    def _tap(self, view: LayerView) -> None:
        """Keep the sharpest rows of a layer, and the hidden states of the last one."""
        count = len(view.queries)
        rows = torch.cat([part.flatten(0, 1) for part in view.window_rows(count)], 1)
        if (view.positions < 0).any():
            raise UnsupportedModelError(
                "the heads of this cache hold different numbers of entries, and attention is read "
                "over all of them",
                "use an eviction that keeps as many entries in every head, or none",
            )
        self._rows.add(self._before, rows.cpu().numpy(), self._before + count)
        if view.layer == view.layers - 1:
            self._states.append(view.inputs.clone())


def reading_bound(asked: Reread, prompt: PreparedPrompt) -> Cost:
    """An upper bound on the cost of readings: every text is read whole."""
    shape, past = prompt.target.shape, len(prompt.prompt)
    flops = sum(_flops(shape, past, len(text), asked.heads) for text in asked.texts)
    return Cost(flops=flops)


def _flops(shape: ModelShape, past: int, tokens: int, heads: int) -> float:
    pairs = [causal_pairs(past, tokens, layer.window) for layer in shape.layers]
    read = forward_flops(shape, tokens, pairs, logits=tokens)
    return read + (rows_flops(shape, past + tokens, tokens) if heads else 0.0)


def _check_fits(model: Model, length: int) -> None:
    context = model.for_length(length).shape.context
    if length > context:
        raise PromptTooLongError(
            f"a prompt and the text read behind it have {length:,} tokens, but {model.name} holds "
            f"{context:,}",
            "write shorter answers, or use a model with a longer context",
        )
