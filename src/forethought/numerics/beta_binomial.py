"""Success rates that differ by question: a Beta law, fitted to counts of right answers.

The share of right answers among few is a biased plug-in for functions of the rate that bend, such
as (1 - rate)^k. The law of each question's rate given its count is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, expit

Floats = NDArray[np.float64]
_NODES = 24
"""Points of each quadrature: exact for polynomials of the rate up to degree 47."""
_BOUNDS = ((-9.0, 9.0), (-4.0, 9.0))
"""Log-odds of the mean, and log of a + b: counts may show no spread, or nothing else."""


@dataclass(frozen=True)
class Beta:
    """The law of success rates over questions."""

    a: float
    b: float

    @classmethod
    def fitted(cls, samples: Sequence[int], right: Sequence[int]) -> Beta:
        """Maximum likelihood from the counts of each question."""
        counts = Counter(zip(samples, right, strict=True))
        made, good, times = np.array([(n, c, w) for (n, c), w in counts.items()], dtype=float).T

        def surprise(place: Floats) -> float:
            a, b = _shapes(place)
            return -float(times @ (betaln(a + good, b + made - good) - betaln(a, b)))

        share = (times @ good + 0.5) / (times @ made + 1)
        start = [float(np.clip(np.log(share / (1 - share)), -8.9, 8.9)), 1.0]
        return cls(*_shapes(minimize(surprise, start, bounds=_BOUNDS, method="L-BFGS-B").x))

    def given(self, samples: int, right: int) -> Beta:
        """The law of a question's rate after its answers were seen."""
        return Beta(self.a + right, self.b + samples - right)

    def nodes(self) -> tuple[Floats, Floats]:
        """Rates [24] and their shares [24]: the Gauss-Jacobi quadrature of this law.

        From the eigenvectors of the Jacobi matrix, which do not overflow for large a and b.
        """
        alpha, beta = self.b - 1, self.a - 1
        k = np.arange(1, _NODES, dtype=np.float64)
        total = 2 * k + alpha + beta
        first = (beta - alpha) / (alpha + beta + 2)
        middle = (beta**2 - alpha**2) / (total * (total + 2))
        side = 4 * k * (k + alpha) * (k + beta) / (total**2 * (total + 1))
        side[1:] *= (k[1:] + alpha + beta) / (total[1:] - 1)  # equal, and so 1, at k = 1
        places = np.diag(np.concatenate(([first], middle)))
        places += np.diag(np.sqrt(side), 1) + np.diag(np.sqrt(side), -1)
        values, vectors = np.linalg.eigh(places)
        return ((1 + values) / 2).clip(0.0, 1.0), vectors[0] ** 2


def _shapes(place: Floats) -> tuple[float, float]:
    size = float(np.exp(place[1]))
    return size * float(expit(place[0])), size * float(expit(-place[0]))
