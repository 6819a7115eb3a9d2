"""Prompts that share a prefill."""

from __future__ import annotations

from forethought.engine.meter import Clock
from forethought.engine.sequence import Prefill
from forethought.prefill.draft_writer import prefill_drafts
from forethought.prefill.prepare import PreparedPrompt, prefill_all


class PromptGroup:
    """Prompts with equal tokens, which one prefill fills."""

    def __init__(self, clock: Clock) -> None:
        self._prompts: list[PreparedPrompt] = []
        self._prefill = Prefill(lambda: self._run(clock))

    def _run(self, clock: Clock) -> None:
        prefill_all(self._prompts, clock)
        prefill_drafts(self._prompts)

    def add(self, prompt: PreparedPrompt) -> None:
        """Add a prompt to the group."""
        prompt.prefill = self._prefill
        self._prefill.tokens = max(self._prefill.tokens, len(prompt.prompt))
        self._prompts.append(prompt)
