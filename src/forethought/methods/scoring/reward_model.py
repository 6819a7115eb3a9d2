"""A reward model scores each candidate, step by step or as a whole.

Paper: The Lessons of Developing Process Reward Models, arXiv:2501.07301 (tags);
    RLHF Workflow, arXiv:2405.07863 (turns)
Published: code; the published readings of the supported reward models.
Exact: never; a longer search finds more answers that the model overrates.
Cost: the reward model prefills each candidate whole, and partial answers again at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, Scorer, Scores, charge
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.methods.scoring._asking import asked
from forethought.methods.scoring._reward_styles import answered, tagged, turned

if TYPE_CHECKING:
    from forethought.models.chat.transcript import ScoredTokens
    from forethought.models.encoders.reward_model import RewardHead


@dataclass(frozen=True)
class RewardModel(Scorer):
    """The probability of a good step under a process reward model, or of a good answer."""

    model: str = "Qwen/Qwen2.5-Math-PRM-7B"
    """Reward model: owner/name on the hub, or a folder of safetensors."""
    style: Literal["tags", "turns", "answer"] = "tags"
    """Tags after each step (Qwen), turns answered with + or - (RLHFlow), or the whole answer."""
    tag: str = "<extra_0>"
    """Text after each step, with style=tags."""
    delimiter: str = "\n\n"
    """Text that ends a step, in answers that were not sampled step by step."""
    combine: Literal["last", "min", "product", "mean"] = "last"
    """The answer's score from those of its steps."""
    system: str | None = None
    """System message; that of the style's training data by default."""

    def on_task(self, task: Task | None) -> Scorer:
        """The same scorer with its model loaded, so that errors come before any spending."""
        self._head()
        return self

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A score for each candidate; without a step, 1 for a partial answer and 0 for others."""
        head = self._head()
        steps = [self._steps(one) for one in candidates]
        readings = [
            self._reading(head, asked(question, one).strip(), one, parts)
            for one, parts in zip(candidates, steps, strict=True)
            if parts
        ]
        tokens = sum(len(one.tokens) for one in readings)
        yield from charge(Cost(scoring_tokens=tokens, flops=_flops(head, readings)))
        found = iter(head.chances(readings))
        return [
            _COMBINED[self.combine](next(found)) if parts else float(not one.done)
            for one, parts in zip(candidates, steps, strict=True)
        ]

    def _head(self) -> RewardHead:
        # Imported here because it loads torch.
        from forethought.models.encoders.reward_model import open_reward_head

        return open_reward_head(self.model, ("-", "+") if self.style == "turns" else ())

    def _steps(self, candidate: Candidate) -> list[str]:
        """The steps without surrounding white space; sampled steps are never merged."""
        parts = [part for piece in candidate.steps for part in self._split(piece)]
        return [part.strip() for part in parts if part.strip()]

    def _split(self, piece: str) -> list[str]:
        return piece.split(self.delimiter) if self.delimiter else [piece]

    def _reading(
        self, head: RewardHead, question: str, candidate: Candidate, steps: Sequence[str]
    ) -> ScoredTokens:
        match self.style:
            case "tags":
                return tagged(head, question, steps, self.tag, self.system)
            case "turns":
                return turned(head, question, steps, self.system)
            case "answer":
                return answered(head, question, candidate.text.strip(), self.system)


def _flops(head: RewardHead, readings: Sequence[ScoredTokens]) -> float:
    return sum(
        forward_flops(
            head.shape,
            len(one.tokens),
            [causal_pairs(0, len(one.tokens), layer.window) for layer in head.shape.layers],
            logits=len(one.places),
        )
        for one in readings
    )


_COMBINED: dict[str, Callable[[np.ndarray], float]] = {
    "last": lambda steps: float(steps[-1]),
    "min": lambda steps: float(steps.min()),
    "product": lambda steps: float(steps.prod()),
    "mean": lambda steps: float(steps.mean()),
}
