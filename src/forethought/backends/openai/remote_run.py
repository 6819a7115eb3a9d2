"""The settings of one run on a server: many runs with their own share a back end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forethought.backends.openai.protocol import CompletionParams

if TYPE_CHECKING:
    from forethought.backends.openai.compression import Compression


@dataclass(frozen=True)
class RemoteRun:
    """Sampling parameters, messages and compression of a run's requests."""

    params: CompletionParams = field(default_factory=CompletionParams)
    compression: Compression | None = None
    """Shortens the run's prompts before they are sent."""
    streams: bool = False
    """Whether the text of its pieces becomes events as it arrives."""
