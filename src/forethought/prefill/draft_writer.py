"""A smaller model, or the target's first layers, that drafts the tokens of answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import inf, log
from typing import TYPE_CHECKING

from forethought.contracts.drafts import DraftWriter
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.sampling import SamplingParams, choose
from forethought.engine.static_step import static_steps

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.prefill.prepare import PreparedPrompt

_FEW = 16
"""New tokens that a decode pass takes at once; more are a prefill."""


class DraftedPrompt:
    """A model that drafts the answers behind a prompt; every sequence continues from there."""

    def __init__(self, prompt: PreparedPrompt, layers: int | None = None) -> None:
        """With `layers`, the model is the target's first layers; else it is the draft."""
        self._prompt, self._layers = prompt, layers
        self._cache: SequenceCache | None = None
        self.model = prompt.draft.model if layers is None else prompt.target
        self.target = prompt.target
        self.tokens: Sequence[int] = ()
        """The prompt in the model's tokens, once it is prefilled."""
        self.network = self.model.network
        """The network, for a text of this length."""

    def prefill(self, meter: Meter) -> None:
        """Prefill the prompt, once: the text that the target prefills, in the model's tokens."""
        if self._cache is not None:
            return
        prompt = self._prompt
        read, draft = prompt.short or prompt.prompt, prompt.draft
        if self._layers is not None:
            self.network, self.tokens = (
                prompt.target.network.first_layers(self._layers),
                read.tokens,
            )
        else:
            own = read if draft.shares_tokens else draft.own_prompt(prompt.prompt)
            longest = len(own.tokens) + prompt.answer_tokens
            self.network, self.tokens = self.model.for_length(longest).network, own.tokens
        cache = SequenceCache(len(self.network.shape.layers), len(self.tokens))
        Batch(self.network, meter).prefill(cache, self.tokens)
        meter.count("draft", len(self.tokens))
        self._cache = cache

    def start(self, meter: Meter) -> SequenceCache:
        """A cache behind the prompt."""
        self.prefill(meter)
        assert self._cache is not None, "prefilled"
        return self._cache.fork()


def prefill_drafts(prompts: Sequence[PreparedPrompt]) -> None:
    """Prefill prompts in the models that draft their answers."""
    for prompt in prompts:
        for one in prompt.writers.values() if prompt.error is None else ():
            with prompt.meter.stage("draft"):
                prompt.attempt(partial(one.prefill, prompt.meter))


class ModelWriter(DraftWriter):
    """Continues the text of one sequence.

    It draws a token with the random number that the target draws with, so that equal laws lead to
    equal tokens.
    """

    def __init__(
        self, prompt: DraftedPrompt, sampling: SamplingParams, stream: int, meter: Meter
    ) -> None:
        self._prompt, self._meter = prompt, meter
        self._sampling, self._stream = sampling, stream
        self._cache: SequenceCache | None = None
        self._held: list[int] = []
        """Tokens behind the prompt that have entries."""
        tokenizers = prompt.model.tokenizer, prompt.target.tokenizer
        self._same = tokenizers[0].fingerprint == tokenizers[1].fingerprint

    def write(self, tokens: Sequence[int], most: int, least_chance: float) -> list[int]:
        """See `DraftWriter.write`."""
        if self._same:
            return self._own(tokens, most, least_chance)
        own, target = self._prompt.model.tokenizer, self._prompt.target.tokenizer
        text = target.decode(tokens)
        written = self._own(own.encode(text), most, least_chance)
        if written and written[-1] in own.ends:
            del written[-1]
        return list(target.encode(own.decode(written)))[:most] if written else []

    def _own(self, tokens: Sequence[int], most: int, least_chance: float) -> list[int]:
        """Tokens of the draft that follow its tokens so far."""
        if not tokens:
            return []
        if self._cache is None:
            self._cache = self._prompt.start(self._meter)
        context, before = self._prompt.network.shape.context, len(self._prompt.tokens)
        if (most := min(most, context - before - len(tokens))) < 1:
            return []
        logits = self._follow(tokens)
        least = log(least_chance) if least_chance > 0 else -inf
        ends, found = self._prompt.model.tokenizer.ends, list[int]()
        while True:
            position = len(tokens) + len(found)
            chosen = choose(logits, self._sampling, self._stream, position)
            found.append(chosen.token)
            sure = chosen.log_probability >= least
            if len(found) == most or not sure or chosen.token in ends:
                self._meter.count("draft", len(found))
                return found
            logits = self._entered([chosen.token])

    def _follow(self, tokens: Sequence[int]) -> Tensor:
        """Enter the tokens that have no entries yet; the logits behind them."""
        assert self._cache is not None, "the prompt has been prefilled"
        pairs = zip(self._held, tokens[:-1], strict=False)
        same = next((i for i, (mine, its) in enumerate(pairs) if mine != its), None)
        kept = min(len(self._held), len(tokens) - 1) if same is None else same
        self._cache.drop_newest(len(self._held) - kept)
        del self._held[kept:]
        return self._entered(tokens[kept:])

    def _entered(self, tokens: Sequence[int]) -> Tensor:
        assert self._cache is not None, "the prompt has been prefilled"
        self._held += tokens
        network = self._prompt.network
        batch = Batch(network, self._meter, static_steps(network))
        if len(tokens) > _FEW:
            return batch.prefill(self._cache, tokens)
        return batch.follow(self._cache, tokens)
