"""Caches of models for one test or file, which share the kernels that this machine compiled."""

from __future__ import annotations

from pathlib import Path

from forethought.models.sources.model_cache import cache_root

KERNELS = "kernels"


def new_cache(folder: Path) -> Path:
    """Make the folder a cache that is empty but for the compiled kernels; equal calls are one."""
    folder.mkdir(parents=True, exist_ok=True)
    compiled = cache_root() / KERNELS
    compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / KERNELS).exists():
        (folder / KERNELS).symlink_to(compiled)
    return folder
