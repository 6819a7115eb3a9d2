"""Choosing the next token from its logits, for one sequence or for all sequences of a step.

Randomness is a function of (seed, candidate, position) and nothing else, so neither the
batch nor a rewind changes what is drawn. Both forms share the filters and the draw. One row at a
time sorts only a shortlist, which a CPU does faster; all rows at once need one transfer from a
GPU, whatever their number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from forethought.contracts.errors import MAKE_ANEW, DamagedFileError
from forethought.engine.upload import upload

CONFIDENCE_TOKENS = 20
"""The likeliest tokens whose log-probabilities give a token's confidence."""
_LEAST_LOG_PROBABILITY = -100.0
"""A floor for tokens that the model rules out, whose log-probability is no finite number."""
_SHORTLIST = 256
_GREEDY_BELOW = 1e-9
"""Temperatures at which no second token could be drawn: two logits that differ in float32 differ
by far more."""
_HOTTEST = 1e38
"""A greater temperature is no float32, and changes nothing any more."""


@dataclass(frozen=True)
class SamplingParams:
    """How to choose: filters apply in the order of the fields."""

    temperature: float = 0.0
    """0 is greedy, and so is what comes so close that nothing else could be drawn."""
    top_k: int = 0
    """Only the k likeliest; 0 for all."""
    top_p: float = 1.0
    """Only the likeliest that together reach this probability."""
    min_p: float = 0.0
    """Only those at least this share of the likeliest."""
    seed: int = 0
    top_logprobs: int = 0
    """How many of the likeliest tokens to report beside the chosen one."""
    certainty: bool = False
    """Whether to report the certainty of each step."""
    confidence: bool = False
    """Whether to report the confidence of each step."""

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always chosen."""
        return self.temperature < _GREEDY_BELOW

    @property
    def filters(self) -> bool:
        """Whether tokens are dropped before the draw."""
        return bool(self.top_k or self.top_p < 1 or self.min_p > 0)


class Choice(NamedTuple):
    """A token to choose from a row of logits."""

    sampling: SamplingParams
    candidate: int
    position: int
    forced: int | None = None
    """The token to take instead of a sampled one; no likeliest tokens are reported then."""
    adjusted: Tensor | None = None
    """[V] to choose from instead of the row's own logits, which still give the log-probabilities:
    those at temperature 1, before masks, biases and penalties, as vLLM reports by default."""
    drafted: bool = False
    """Whether `forced` is a drafted token, which is reported like a sampled one."""

    @property
    def draws(self) -> bool:
        """Whether the token depends on a random number."""
        return self.forced is None and not self.sampling.greedy

    @property
    def top(self) -> int:
        """How many of the likeliest tokens to report."""
        given = self.forced is not None and not self.drafted
        return 0 if given else self.sampling.top_logprobs

    def uniform(self) -> float:
        """The random number of this choice, from 0 to 1."""
        seeds = [self.sampling.seed, self.candidate, self.position]
        return float(np.random.default_rng(seeds).random())


@dataclass(frozen=True)
class SampledToken:
    """A chosen token; log-probabilities are those of the raw logits, before any adjustment."""

    token: int
    log_probability: float
    top: tuple[tuple[int, float], ...] = ()
    certainty: float = 0.0
    """See `certainty`; 0 unless the sampling parameters ask for it."""
    confidence: float = 0.0
    """See `confidence`; 0 unless the sampling parameters ask for it."""

    def checked(self) -> SampledToken:
        """The token itself; raises DamagedFileError if the logits hold no numbers."""
        if not math.isfinite(self.log_probability):
            raise DamagedFileError(
                "the model computes values that are no numbers",
                "its weights are damaged, or too large for their format: try --weights bf16, or "
                f"{MAKE_ANEW}",
            )
        return self


def choose(logits: Tensor, sampling: SamplingParams, candidate: int, position: int) -> SampledToken:
    """The next token of one row from logits [V], float32."""
    return _choose_row(logits, Choice(sampling, candidate, position)).checked()


def choose_all(logits: Sequence[Tensor], choices: Sequence[Choice]) -> list[SampledToken]:
    """The next token of every row, from logits [V] each; the caller checks them.

    Rows on a GPU of one vocabulary are chosen at once, with one transfer in either direction; rows
    with adjusted logits are chosen alone.
    """
    found: dict[int, SampledToken] = {}
    together: dict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(logits):
        if row.device.type == "cpu" or choices[index].adjusted is not None:
            found[index] = _choose_row(row, choices[index])
        else:
            together[len(row)].append(index)
    for rows in together.values():
        stacked = torch.stack([logits[index] for index in rows])
        found |= zip(rows, choose_rows(stacked, [choices[index] for index in rows]), strict=True)
    return [found[index] for index in range(len(logits))]


def _choose_row(logits: Tensor, choice: Choice) -> SampledToken:
    sampling, token = choice.sampling, choice.forced
    if token is None:
        law = logits if choice.adjusted is None else choice.adjusted
        token = int(law.argmax() if sampling.greedy else _draw(law, choice))
    found = _measured(logits, token, choice.top, sampling.certainty)
    return replace(found, confidence=confidence(logits)) if sampling.confidence else found


def stated(logits: Tensor, token: int, top: int = 0) -> SampledToken:
    """A token that is chosen already, beside the `top` likeliest ones."""
    return _measured(logits, token, top, False).checked()


def _measured(logits: Tensor, token: int, top: int, certain: bool) -> SampledToken:
    norm = torch.logsumexp(logits, 0)
    log_probability = float(logits[token] - norm)
    best = likeliest(logits - norm, top) if top else ()
    sure = _certainty(logits, norm) if certain and math.isfinite(log_probability) else 0.0
    return SampledToken(token, log_probability, best, sure)


def certainty(logits: Tensor) -> float:
    """The divergence from uniform to the law of logits [V], in nats: 0 where all are as likely.

    What the model rules out altogether is no token that could be written.
    """
    return _certainty(logits, torch.logsumexp(logits, 0))


def _certainty(logits: Tensor, norm: Tensor) -> float:
    spread = float(norm - logits.mean())
    if math.isinf(spread):
        return certainty(logits[logits.isfinite()])
    return max(0.0, spread - math.log(logits.shape[0]))


def confidence(logits: Tensor) -> float:
    """The mean negative log-probability of the 20 likeliest tokens of logits [V], in nats.

    High where one token is likely, since the others are unlikely then (arXiv:2508.15260).
    """
    norm = torch.logsumexp(logits, 0)
    best = logits.topk(min(CONFIDENCE_TOKENS, logits.shape[0])).values
    return -float((best - norm).clamp_(min=_LEAST_LOG_PROBABILITY).mean())


def likeliest(scores: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    """The tokens of the highest scores [V], best first; of equal ones the lower number first."""
    values, tokens = scores.topk(min(count, scores.shape[0]))
    return _best_first(tokens.tolist(), values.tolist())


def _best_first(tokens: Sequence[int], values: Sequence[float]) -> tuple[tuple[int, float], ...]:
    found = zip(tokens, values, strict=True)
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _draw(logits: Tensor, choice: Choice) -> Tensor:
    sampling, uniform = choice.sampling, choice.uniform()
    # Relative to the greatest, so that no quotient overflows.
    chances = torch.softmax((logits - logits.max()) / sampling.temperature, 0)
    if not sampling.filters:
        return _invert(chances, uniform)
    ranked, tokens = _ranked(chances, sampling)
    if sampling.top_p < 1:
        ranked = _nucleus(ranked, sampling.top_p)
    if sampling.min_p > 0:
        ranked = _above(ranked, sampling.min_p)
    # In the order of the vocabulary: laws that rank tokens differently agree on more draws.
    kept = ranked > 0
    kept[0] = True  # also where the logits hold no numbers
    tokens, order = tokens[kept].sort()
    return tokens[_invert(ranked[kept][order], uniform)]


def _ranked(chances: Tensor, sampling: SamplingParams) -> tuple[Tensor, Tensor]:
    """The likeliest, best first: all that the filters could keep, sorted as few as possible."""
    size = chances.shape[0]
    if sampling.top_k:
        best = chances.topk(min(sampling.top_k, size))
        return best.values / best.values.sum(), best.indices
    short = chances.topk(min(_SHORTLIST, size))
    enough = sampling.top_p < 1 and float(short.values.sum()) >= sampling.top_p
    if enough or float(short.values[-1]) < sampling.min_p * float(short.values[0]):
        return short.values, short.indices
    full = chances.sort(descending=True, stable=True)
    return full.values, full.indices


def _nucleus(ranked: Tensor, top_p: float | Tensor) -> Tensor:
    """Ranked chances [..., V], 0 behind those that together reach `top_p`."""
    # A token stays while what comes before it has not reached top_p yet.
    stays = ranked.cumsum(-1) - ranked < top_p
    stays[..., 0] = True  # whatever top_p, something can be drawn
    return torch.where(stays, ranked, 0.0)


def _above(ranked: Tensor, min_p: float | Tensor) -> Tensor:
    """Ranked chances [..., V], 0 below this share of the likeliest."""
    return torch.where(ranked >= min_p * ranked[..., :1], ranked, 0.0)


def _invert(chances: Tensor, uniform: float | Tensor) -> Tensor:
    """The places [..., 1] in chances [..., V] at which their sum passes a share of the whole."""
    total = chances.double().cumsum(-1)
    whole = total[..., -1:]
    # Below the whole, since rounding up to it would pass over the last token that is possible.
    place = torch.minimum(uniform * whole, torch.nextafter(whole, torch.zeros_like(whole)))
    return torch.searchsorted(total, place, right=True).clamp_(max=chances.shape[-1] - 1)


class _Parameters(NamedTuple):
    """The parameters of all rows, a column [R, 1] each, on their device."""

    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    uniform: Tensor
    forced: Tensor


def choose_rows(logits: Tensor, choices: Sequence[Choice]) -> list[SampledToken]:
    """The next token of each row of logits [R, V], float32, on any device.

    The host waits for the device once: for tokens, log-probabilities, certainties and the
    likeliest tokens together.
    """
    given = _parameters(choices, logits)
    norm = torch.logsumexp(logits, -1, keepdim=True)
    tokens = logits.argmax(-1, keepdim=True)
    if any(choice.draws for choice in choices):
        tokens = torch.where(given.temperature > 0, _draw_rows(logits, choices, given), tokens)
    tokens = torch.where(given.forced >= 0, given.forced.long(), tokens)
    columns = [tokens, logits.gather(-1, tokens) - norm]
    certain = any(choice.sampling.certainty for choice in choices)
    columns += [_certainties(logits, norm)] if certain else []
    confident = any(choice.sampling.confidence for choice in choices)
    columns += [_confidences(logits, norm)] if confident else []
    top = min(max(choice.top for choice in choices), logits.shape[-1])
    columns += (logits - norm).topk(top) if top else ()
    told = torch.cat([column.double() for column in columns], -1).tolist()
    measured = _Measured(certain, confident, top)
    return [_sampled(row, choice, measured) for row, choice in zip(told, choices, strict=True)]


class _Measured(NamedTuple):
    """What was computed for all rows beside token and log-probability."""

    certain: bool
    confident: bool
    top: int


def _sampled(row: list[float], choice: Choice, measured: _Measured) -> SampledToken:
    """What was computed for one row: token, log-probability, certainty, confidence, the top."""
    top, sampling = measured.top, choice.sampling
    sure = row[2] if measured.certain and sampling.certainty else 0.0
    place = 2 + measured.certain
    confident = row[place] if measured.confident and sampling.confidence else 0.0
    values, tokens = row[len(row) - 2 * top : len(row) - top], row[len(row) - top :]
    count = min(choice.top, top)
    best = _best_first([int(token) for token in tokens[:count]], values[:count])
    return SampledToken(int(row[0]), row[1], best, sure, confident)


def _parameters(choices: Sequence[Choice], logits: Tensor) -> _Parameters:
    rows = [
        (
            min(one.sampling.temperature, _HOTTEST) if one.draws else 0.0,
            one.sampling.top_k or logits.shape[-1],
            one.sampling.top_p if one.sampling.top_p < 1 else math.inf,
            one.sampling.min_p,
            one.uniform() if one.draws else 0.0,
            -1 if one.forced is None else one.forced,
        )
        for one in choices
    ]
    return _Parameters(*torch.split(upload(rows, torch.float64, logits.device), 1, -1))


def _draw_rows(logits: Tensor, choices: Sequence[Choice], given: _Parameters) -> Tensor:
    """A drawn token for each row: [R, 1]; rows that are greedy get any."""
    heat = torch.where(given.temperature > 0, given.temperature, 1.0).float()
    chances = torch.softmax((logits - logits.amax(-1, keepdim=True)) / heat, -1)
    drawn = [choice.sampling for choice in choices if choice.draws]
    if not any(sampling.filters for sampling in drawn):
        return _invert(chances, given.uniform)
    ranked, tokens = chances.sort(dim=-1, descending=True, stable=True)
    if any(sampling.top_k for sampling in drawn):
        places = torch.arange(chances.shape[-1], device=chances.device)
        ranked = torch.where(places < given.top_k, ranked, 0.0)
        cut = given.top_k < chances.shape[-1]
        ranked = ranked / torch.where(cut, ranked.sum(-1, keepdim=True), 1.0)
    ranked = _above(_nucleus(ranked, given.top_p.float()), given.min_p.float())
    # All rows are drawn in the order of the vocabulary, as each one is alone.
    filters = [[choice.sampling.filters] for choice in choices]
    filtered = upload(filters, torch.bool, logits.device)
    kept = torch.zeros_like(chances).scatter(-1, tokens, ranked)
    return _invert(torch.where(filtered, kept, chances), given.uniform)


def _confidences(logits: Tensor, norm: Tensor) -> Tensor:
    """The confidence of each row: [R, 1]."""
    best = logits.topk(min(CONFIDENCE_TOKENS, logits.shape[-1]), -1).values
    return -(best - norm).clamp_(min=_LEAST_LOG_PROBABILITY).mean(-1, keepdim=True)


def _certainties(logits: Tensor, norm: Tensor) -> Tensor:
    """The certainty of each row: [R, 1]."""
    finite = logits.isfinite()
    count = finite.sum(-1, keepdim=True)
    mean = torch.where(finite, logits, 0.0).sum(-1, keepdim=True) / count
    return (norm - mean - count.log()).clamp_(min=0.0)
