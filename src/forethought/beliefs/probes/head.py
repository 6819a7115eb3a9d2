"""The head of a probe: standardised features, then one linear map or two."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ProbeHead:
    """Probabilities of classes for hidden states [N, D].

    One output is the probability of one event, by a logistic function. More outputs are the
    probabilities of exclusive classes, by a softmax.
    """

    mean: Floats
    """[D] subtracted from a state."""
    scale: Floats
    """[D] that a state is divided by then."""
    maps: tuple[tuple[Floats, Floats], ...]
    """Weights [out, in] and biases [out]; a ReLU between two maps."""

    @property
    def inputs(self) -> int:
        """Size of a state."""
        return len(self.mean)

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return len(self.maps[-1][1])

    @property
    def flops(self) -> float:
        """FLOPs of the outputs for one state."""
        return 2.0 * (self.inputs + sum(weight.size for weight, _ in self.maps))

    def logits(self, states: Floats) -> Floats:
        """[N, D] to [N, classes]."""
        found = (states - self.mean) / self.scale
        for number, (weight, bias) in enumerate(self.maps):
            found = found if number == 0 else np.maximum(found, 0.0)
            found = found @ weight.T + bias
        return found

    def probabilities(self, states: Floats) -> Floats:
        """[N, D] to [N, classes]."""
        found = self.logits(states)
        shares: Floats = expit(found) if self.classes == 1 else softmax(found, axis=1)
        return shares

    def problem(self) -> str:
        """The reason why the parts do not fit together; empty if they do."""
        parts = [self.mean, self.scale, *(part for both in self.maps for part in both)]
        if not all(np.isfinite(part).all() for part in parts):
            return "a weight is not a number"
        if not self.maps or any(w.ndim != 2 or b.shape != w.shape[:1] for w, b in self.maps):
            return "its maps have no matching biases"
        sizes = [weight.shape for weight, _ in self.maps]
        chained = all(before[0] == after[1] for before, after in pairwise(sizes))
        if not chained or not self.mean.shape == self.scale.shape == (sizes[0][1],):
            return "the sizes of its parts differ"
        return "" if (self.scale > 0).all() else "a feature's scale is not above 0"
