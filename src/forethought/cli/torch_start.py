"""Starts torch for verbs that run a model."""

from __future__ import annotations

import os

from forethought.cli.interruption import exits_at_once


def start_torch(threads: int | None) -> None:
    """Import torch after the settings that it reads at import, and set its threads.

    Called late: importing torch takes a second, and wrong usage must not wait for it.
    """
    from forethought.models.hardware.native_settings import settle

    settle(os.environ)
    with exits_at_once():
        import torch

    if threads:
        torch.set_num_threads(threads)
