"""Documents of runs, as `Run.document()` writes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from forethought.contracts.records import Cost, Exact, Kept, Run, Timing

COMPRESSED = Run(
    answer="The moon.",
    recipe="smollm2+specpc(keep=512)",
    seed=7,
    finish="stop",
    cost=Cost(
        prompt_tokens=512,
        output_tokens=57,
        draft_tokens=4031,
        flops=1.1e12,
        seconds=4.2,
        peak_cache_bytes=1_605_632,
    ),
    timing=Timing(load=0.8, first_token=2.9, per_token=0.016),
    exact=Exact(flops=8.8e12, cache_bytes=12_582_912),
    kept=Kept(512, 4031, tuple(range(3519, 4031)), cache_bytes=1_500_000),
    run="3f9c0a1b2c3d4e5f",
)


def document(**changes: Any) -> dict[str, Any]:
    """The document of COMPRESSED with some fields changed."""
    return replace(COMPRESSED, **changes).document()
