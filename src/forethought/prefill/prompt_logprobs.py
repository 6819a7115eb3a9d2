"""Prefill that also scores the prompt: the log-probability of each token after those before it.

The prefill weights of the network score the tokens. They are bf16 where 4-bit weights decode, so
the scores of an answer's own tokens may differ from those of its decode steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from forethought.contracts.records import PromptLogprobs
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import NewTokens
from forethought.models.hardware.sliced_task import pause

LOGITS_BYTES = 64 << 20
"""Bytes of logits at once; all logits of a long prompt would take gigabytes."""
_LEAST_BLOCK, _MOST_BLOCK = 32, 512


@dataclass(frozen=True)
class ScoredPrefill:
    """Logits [V] after the prompt, and the scores of its tokens."""

    logits: Tensor
    scores: PromptLogprobs


def block_tokens(vocabulary: int) -> int:
    """Tokens whose logits are held at once."""
    return max(_LEAST_BLOCK, min(_MOST_BLOCK, LOGITS_BYTES // (4 * vocabulary)))


def scored_prefill(
    batch: Batch, cache: SequenceCache, tokens: tuple[int, ...], top: int
) -> ScoredPrefill:
    """Prefill a prompt into an empty cache; score each token, beside the `top` likeliest ones."""
    size = block_tokens(batch.network.shape.vocabulary)
    bounds = [*range(0, len(tokens), size), len(tokens)]
    scores, logits = _Scores(), torch.empty(0)
    for start, stop in pairwise(bounds):
        part = NewTokens(cache, tokens[start:stop])
        rows = batch.forward([part], phase="prefill", every=True)
        # The last row of a block predicts the first token of the next one.
        scores.add(rows, tokens[start + 1 : stop + 1], top)
        logits = rows[-1].clone()
        del rows
        pause()
    places = (None, *scores.log_probabilities)
    return ScoredPrefill(logits, PromptLogprobs(tokens, places, ((), *scores.top)))


@dataclass
class _Scores:
    """The scores of all tokens but the first."""

    log_probabilities: list[float] = field(default_factory=list)
    top: list[tuple[tuple[int, float], ...]] = field(default_factory=list)

    def add(self, logits: Tensor, following: tuple[int, ...], top: int) -> None:
        """Score the token that follows each row of logits [N, V]."""
        rows = logits[: len(following)]
        norm = torch.logsumexp(rows, -1, keepdim=True)
        chosen = torch.tensor(following, device=rows.device).unsqueeze(-1)
        self.log_probabilities += (rows.gather(-1, chosen) - norm).flatten().tolist()
        if not top:
            self.top += [()] * len(following)
            return
        best = rows.topk(min(top, rows.shape[-1]))
        pairs = zip(best.indices.tolist(), (best.values - norm).tolist(), strict=True)
        self.top += [tuple(zip(*pair, strict=True)) for pair in pairs]
