"""A strip of blocks: where along the prompt something was kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇"


def strip(positions: Sequence[int], shares: Sequence[float], of: int, *, width: int) -> str:
    """At most `width` blocks over positions 0 to `of`; the higher, the more was kept there.

    `shares` weighs each position from 0 to 1; empty where all of them count whole. Only
    what was dropped whole has the lowest block, only what was kept whole the highest.
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
