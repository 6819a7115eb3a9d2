"""What answers cost one by one, from what runs cost as a whole: no model is asked or loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_KINDS = ("prompt_tokens", "output_tokens", "scoring_tokens", "draft_tokens")


def all_tokens(cost: Mapping[str, Any]) -> float:
    """All tokens that a run read or wrote, a draft's and a scorer's too."""
    return float(sum(cost.get(kind, 0) for kind in _KINDS))


@dataclass(frozen=True)
class Rates:
    """FLOPs of a token of each kind, on average."""

    prompt: float
    output: float
    scoring: float
    draft: float

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> Rates:
        """The rates that explain best what these runs cost, and what a plain answer would have.

        Least squares. What they cannot tell apart costs alike, as tokens of one model about do.
        """
        rows = [
            ([run["cost"].get(kind, 0) for kind in _KINDS], run["cost"]["flops"]) for run in runs
        ]
        rows += [_plain(run) for run in runs if run.get("exact", {}).get("flops")]
        tokens, flops = (
            np.array([row[0] for row in rows], float),
            np.array([row[1] for row in rows]),
        )
        alike = flops.sum() / max(1.0, tokens.sum())
        found = alike + np.linalg.lstsq(tokens, flops - alike * tokens.sum(1), rcond=1e-6)[0]
        return cls(*(max(0.0, float(rate)) for rate in found))

    def shares(self, cost: Mapping[str, Any]) -> Shares:
        """What a run cost, by what for; the parts sum to what it cost."""
        once = self.prompt * cost["prompt_tokens"] + self.draft * cost.get("draft_tokens", 0)
        answers = self.output * cost["output_tokens"]
        scoring = self.scoring * cost.get("scoring_tokens", 0)
        whole = once + answers + scoring
        scale = cost["flops"] / whole if whole else 0.0
        return Shares(once * scale, answers * scale, scoring * scale)


@dataclass(frozen=True)
class Shares:
    """A cost by what it was for."""

    once: float
    """However many answers are drawn."""
    answers: float
    scoring: float

    @classmethod
    def of_tokens(cls, cost: Mapping[str, Any]) -> Shares:
        """Tokens of a run, by what for."""
        once = cost["prompt_tokens"] + cost.get("draft_tokens", 0)
        return cls(once, cost["output_tokens"], cost.get("scoring_tokens", 0))


def _plain(run: Mapping[str, Any]) -> tuple[list[float], float]:
    """Tokens of one plain answer behind the whole prompt, and the FLOPs that were counted of it."""
    chosen = [one["tokens"] for one in run.get("candidates", ()) if one.get("chosen")]
    written = chosen[0] if chosen else run["cost"]["output_tokens"]
    return [run["kept"]["of"], written, 0, 0], run["exact"]["flops"]
