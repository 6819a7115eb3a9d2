"""The drafts of one sequence: how many tokens to draft, and how many of them were accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from forethought.contracts.drafts import NO_DRAFT, ROOT, DraftTree, TokenDrafter
from forethought.contracts.records import ModelShape
from forethought.contracts.roles import Network
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.row_costs import DraftCost

_HOPED, _TRUST = 0.5, 2.0
"""The share of drafted tokens that is expected to be accepted at first, and its weight in tokens.

A draft must earn what it costs within the first few passes."""
_MEMORY = 32.0
"""Tokens that the running share remembers, about."""
_LONGEST_PAUSE = 64
"""Most passes between two tries of a drafter that does not pay."""
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

    def best(self, most: int, cost: DraftCost, seconds: float) -> int:
        """The number of drafted tokens that leads to the most tokens a second; 0 to draft none.

        A drafted token takes so many seconds to draft.
        """
        each = cost.share(seconds)
        found, best, tokens = 0, _LEAST_GAIN, 1.0
        for count in range(1, most + 1):
            tokens += self.share**count
            if (rate := tokens / (cost.ratio(count) + count * each)) > best:
                found, best = count, rate
        return found


@dataclass(eq=False)
class Drafting:
    """The drafter of one sequence, and what its drafts have led to."""

    drafter: TokenDrafter
    shape: ModelShape
    """That of the target."""
    meter: Meter = field(default_factory=lambda: Meter(lambda: 0.0))
    """Charged for the model that drafts."""
    acceptance: AcceptanceRate = field(default_factory=AcceptanceRate)
    flops: float = 0.0
    """FLOPs of the target beyond those of plain decode steps."""
    passes: int = 0
    """Decode passes of the target."""
    _seconds: float = 0.0
    """Of a drafted token, on average."""
    _drafts: int = 0
    _pause: int = 1
    """Passes without a draft once none pays."""
    _waits: int = 0
    """How many of them remain."""
    _proposed: DraftTree = NO_DRAFT
    _at: int = ROOT
    """The place of the newest token in what was proposed."""

    def open(self, network: Network, cache: SequenceCache) -> None:
        """Begin behind a prefilled prompt, with the network that verifies."""
        self.shape = network.shape

    def accepted(self, law: Callable[[], Tensor]) -> int | None:
        """The token that is taken in place of the sequence's own choice from `law`; None for it."""
        return None

    @property
    def sparse_passes(self) -> int:
        """Decode passes with part of the target's MLP, which drafted."""
        return 0

    @property
    def proposed(self) -> DraftTree:
        """The latest draft."""
        return self._proposed

    def begin(self, proposed: DraftTree) -> None:
        """Compare the next tokens with a new draft."""
        self._proposed, self._at = proposed, ROOT

    @property
    def following(self) -> int | None:
        """The first drafted token behind the newest one, if the latter is drafted too."""
        pairs = zip(self._proposed.tokens, self._proposed.parents, strict=True)
        return next((token for token, parent in pairs if parent == self._at), None)

    def draft(self, tokens: Sequence[int], most: int, cost: DraftCost) -> DraftTree:
        """The tokens to verify behind these tokens of the answer; at most `most`.

        A drafter that decodes nothing always proposes. What does not pay is compared with the next
        tokens all the same, so that drafting resumes where it pays again. Other drafters are tried
        after longer and longer pauses.
        """
        self._proposed, self._at = NO_DRAFT, ROOT
        asked = self._asked(most, cost) if self.drafter.decodes else most
        if asked < 1:
            return NO_DRAFT
        start = cost.clock()
        found = self.drafter.draft(tokens, asked).first(asked).within(self.shape.vocabulary)
        self._learn_seconds(cost.clock() - start, len(found))
        self._proposed = found
        if self.drafter.decodes:
            return found
        return found.first(self.acceptance.best(len(found), cost, 0.0))

    def _asked(self, most: int, cost: DraftCost) -> int:
        """The tokens that a model should decode now."""
        if self._waits:
            self._waits -= 1
            return 0
        if (best := self.acceptance.best(most, cost, self._seconds)) > 0:
            self._pause = 1
            return best
        self._waits, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return min(most, 1)

    def _learn_seconds(self, seconds: float, drafted: int) -> None:
        """Count the seconds of a draft; the first one may include other work."""
        if drafted and self._drafts:
            each, known = seconds / drafted, self._seconds
            self._seconds = known + 0.2 * (min(each, 2 * known) - known) if known else each
        self._drafts += 1

    def goes_on(self, token: int) -> bool:
        """Compare a token that the sequence takes; whether the draft may lead on behind it."""
        self.learn(token)
        return True

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
        """Count a pass, and charge the rows of its tree behind so many entries of each layer."""
        self.passes += 1
        self.flops += self._flops(past, 1 + rows) - self._flops(past, 1)

    def refund(self, past: tuple[float, ...]) -> None:
        """Refund a row that was accepted: a plain decode step would have computed it."""
        self.flops -= self._flops(past, 1)

    def _flops(self, past: tuple[float, ...], tokens: int) -> float:
        trial = Meter(lambda: 0.0)
        trial.forward(self.shape, 0, [(past, tokens)], tokens, None)
        return trial.flops
