"""The draft as a plan sees it: sizes alone, so that costs are planned without weights."""

from __future__ import annotations

from typing import Protocol

from forethought.contracts.records import ModelShape
from forethought.contracts.roles import Approximation, Draft

_VERY_SMALL = 2e8  # parameters in the layers of a draft


class Shaped(Protocol):
    """A model, as far as its sizes go."""

    @property
    def shape(self) -> ModelShape:
        """Sizes of the network."""
        ...

    def for_length(self, tokens: int) -> Shaped:
        """The model for texts of so many tokens."""
        ...


class PlannedDraft(Draft, Protocol):
    """A draft with the sizes of its model and of the target."""

    @property
    def model(self) -> Shaped:
        """The model that drafts."""
        ...

    @property
    def target(self) -> Shaped:
        """The model that answers."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the files of target and draft."""
        ...

    @property
    def remote_target(self) -> bool:
        """Whether the target runs on a server at a cost that is unknown here."""
        ...

    def serving(self, method: Approximation) -> PlannedDraft:
        """The draft that a method uses: this one, or the target itself."""
        ...


def default_layer_span(own: ModelShape, target: ModelShape, *, is_self: bool) -> tuple[int, int]:
    """The default first layer of a draft that methods use, and one past the last.

    Another model: the published first layer, and a stop between 0.42 and 0.6 of its layers,
    later for drafts that are small beside the target. Very small drafts attend to the question
    only after the middle (docs/lab-log.md). The target itself: a few early layers, since more
    save nothing.
    """
    layers = len(own.layers)
    if is_self:
        return layers // 7, max(layers // 7 + 1, round(0.27 * layers))
    cheap = 0.1 * target.layer_parameters * len(target.layers) / own.layer_parameters
    least, most = (max(1, round(share * layers)) for share in (0.42, 0.6))
    least = most if own.layer_parameters * layers < _VERY_SMALL else least
    stop = min(max(int(cheap), least), most)
    return min(8, stop - 1), stop
