"""The strip of blocks that shows the kept parts of a prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇"


def strip(positions: Sequence[int], shares: Sequence[float], of: int, *, width: int) -> str:
    """At most `width` blocks over positions 0 to `of`; a block's height is the share kept.

    `shares` holds the kept share of each position, from 0 to 1; empty means 1 for all. The lowest
    block means that nothing was kept, the highest that everything was.
    """
    cells = min(of, width)
    if cells <= 0:
        return ""
    kept = [0.0] * cells
    for position, share in zip(positions, shares or [1.0] * len(positions), strict=True):
        kept[position * cells // of] += share
    sizes = [-(-(cell + 1) * of // cells) - -(-cell * of // cells) for cell in range(cells)]
    return "".join(_block(sum_ / size) for sum_, size in zip(kept, sizes, strict=True))


def _block(share: float) -> str:
    top = len(LEVELS) - 1
    return LEVELS[top if share >= 1 - 1e-9 else min(math.ceil(share * top), top - 1)]
