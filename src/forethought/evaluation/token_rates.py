"""FLOPs per token of each kind, estimated from the stored costs of whole runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_KINDS = ("prompt_tokens", "output_tokens", "scoring_tokens", "draft_tokens")


def all_tokens(cost: Mapping[str, Any]) -> float:
    """All tokens of a run: prompt and output of the target, the draft and the scorer."""
    return float(sum(cost.get(kind, 0) for kind in _KINDS))


@dataclass(frozen=True)
class TokenRates:
    """Mean FLOPs per token of each kind."""

    prompt: float
    output: float
    scoring: float
    draft: float

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> TokenRates:
        """Fit the rates to the FLOPs of these runs and of their plain answers by least squares.

        The fit starts from one rate for all kinds, so kinds that the runs cannot tell apart
        share it: tokens of one model cost about the same.
        """
        rows = [
            ([run["cost"].get(kind, 0) for kind in _KINDS], run["cost"]["flops"]) for run in runs
        ]
        rows += [_plain_answer(run) for run in runs if run.get("exact", {}).get("flops")]
        tokens, flops = (
            np.array([row[0] for row in rows], float),
            np.array([row[1] for row in rows]),
        )
        common = flops.sum() / max(1.0, tokens.sum())
        found = common + np.linalg.lstsq(tokens, flops - common * tokens.sum(1), rcond=1e-6)[0]
        return cls(*(max(0.0, float(rate)) for rate in found))

    def shares(self, cost: Mapping[str, Any]) -> CostShares:
        """Split the FLOPs of a run by purpose; the shares sum to its FLOPs."""
        once = self.prompt * cost["prompt_tokens"] + self.draft * cost.get("draft_tokens", 0)
        answers = self.output * cost["output_tokens"]
        scoring = self.scoring * cost.get("scoring_tokens", 0)
        whole = once + answers + scoring
        scale = cost["flops"] / whole if whole else 0.0
        return CostShares(once * scale, answers * scale, scoring * scale)


@dataclass(frozen=True)
class CostShares:
    """A cost split by purpose."""

    once: float
    """Prefill and draft, independent of the number of answers."""
    answers: float
    """Decode of all answers."""
    scoring: float

    @classmethod
    def of_tokens(cls, cost: Mapping[str, Any]) -> CostShares:
        """Split the tokens of a run by purpose."""
        once = cost["prompt_tokens"] + cost.get("draft_tokens", 0)
        return cls(once, cost["output_tokens"], cost.get("scoring_tokens", 0))


def _plain_answer(run: Mapping[str, Any]) -> tuple[list[float], float]:
    """Tokens of one plain answer after the whole prompt, and the FLOPs counted for it."""
    chosen = [one["tokens"] for one in run.get("candidates", ()) if one.get("chosen")]
    written = chosen[0] if chosen else run["cost"]["output_tokens"]
    return [run["kept"]["of"], written, 0, 0], run["exact"]["flops"]
