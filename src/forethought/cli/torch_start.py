"""Starts torch for a verb that runs a model."""

from __future__ import annotations

import os


def start_torch(threads: int | None) -> None:
    """Import torch with the settings that must stand before it, and with so many threads.

    Called late, since torch takes a second that wrong usage must not wait for.
    """
    from forethought.models.hardware.native_settings import settle

    settle(os.environ)
    import torch

    if threads:
        torch.set_num_threads(threads)
