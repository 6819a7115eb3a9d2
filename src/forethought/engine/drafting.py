"""The drafts of one sequence: how many tokens to draft, and how many of them were accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forethought.contracts.drafts import NO_DRAFT, ROOT, DraftTree, TokenDrafter
from forethought.contracts.records import ModelShape
from forethought.engine.meter import Meter

Ratio = Callable[[int], float]
"""Seconds of a decode pass with so many drafted tokens, beside one without."""
_HOPED, _TRUST = 0.7, 2.0
"""The share of drafted tokens that is expected to be accepted at first, and its weight in tokens.

A draft must earn what it costs within the first few passes."""
_MEMORY = 32.0
"""Tokens that the running share remembers, about."""
_LEAST_GAIN = 1.02
"""Drafting must be expected to raise the tokens a second by this factor."""


@dataclass(eq=False)
class AcceptanceRate:
    """The share of drafted tokens that the target takes, given that it took those before."""

    taken: float = _HOPED * _TRUST
    tried: float = _TRUST

    def learn(self, taken: bool) -> None:
        """Count a drafted token that the target took or not."""
        keep = 1 - 1 / _MEMORY if self.tried >= _MEMORY else 1.0
        self.taken, self.tried = keep * self.taken + taken, keep * self.tried + 1

    @property
    def share(self) -> float:
        """The running share, below 1."""
        return min(0.99, self.taken / self.tried)

    def best(self, most: int, ratio: Ratio) -> int:
        """The number of drafted tokens that leads to the most tokens a second; 0 to draft none."""
        found, best, tokens = 0, _LEAST_GAIN, 1.0
        for count in range(1, most + 1):
            tokens += self.share**count
            if (rate := tokens / ratio(count)) > best:
                found, best = count, rate
        return found


@dataclass(eq=False)
class Drafting:
    """The drafter of one sequence, and what its drafts have led to."""

    drafter: TokenDrafter
    shape: ModelShape
    """That of the target."""
    acceptance: AcceptanceRate = field(default_factory=AcceptanceRate)
    flops: float = 0.0
    """FLOPs beyond those of plain decode steps."""
    _proposed: DraftTree = NO_DRAFT
    _at: int = ROOT
    """The place of the newest token in what was proposed."""

    def draft(self, tokens: Sequence[int], most: int, ratio: Ratio) -> DraftTree:
        """The tokens to verify behind these tokens of the answer; at most `most`.

        Proposed tokens that do not pay are compared with the next tokens all the same, so that
        drafting resumes where it pays again.
        """
        found = self.drafter.draft(tokens, most) if most > 0 else NO_DRAFT
        self._proposed, self._at = found.first(most).within(self.shape.vocabulary), ROOT
        pays = self.acceptance.best(min(most, len(self._proposed)), ratio)
        return self._proposed.first(pays)

    def learn(self, token: int) -> None:
        """Compare a token that the sequence takes with the proposed ones."""
        if not any(parent == self._at for parent in self._proposed.parents):
            return
        found = self._proposed.child(self._at, token)
        self.acceptance.learn(found is not None)
        self._proposed = NO_DRAFT if found is None else self._proposed
        self._at = ROOT if found is None else found

    def close(self, tokens: Sequence[int]) -> None:
        """End the drafts of a finished sequence with these tokens."""
        self.drafter.close(tokens)

    def charge(self, past: tuple[float, ...], rows: int) -> None:
        """Charge the rows of a tree behind so many entries of each layer."""
        self.flops += self._flops(past, 1 + rows) - self._flops(past, 1)

    def refund(self, past: tuple[float, ...]) -> None:
        """Refund a row that was accepted: a plain decode step would have computed it."""
        self.flops -= self._flops(past, 1)

    def _flops(self, past: tuple[float, ...], tokens: int) -> float:
        trial = Meter(lambda: 0.0)
        trial.forward(self.shape, 0, [(past, tokens)], tokens, None)
        return trial.flops
