"""Keep the beginning and the end of the prompt, and drop the middle.

Paper: none; the default of many chat front ends
Published: baseline
Exact: when keep reaches the prompt's length; below it, the middle of the prompt is lost.
Cost: the target prefills keep tokens; nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Share
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.models.hardware.sliced_task import aside


@dataclass(frozen=True)
class Truncate(Shortening):
    """Keeps the first and the last droppable tokens."""

    head: Share = 0.5
    """Share of the budget for the beginning; the rest is for the end."""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt without its middle."""
        if not self.pays(len(prompt)):
            return prompt
        return aside(len(prompt), lambda: self._ends(prompt))

    def _ends(self, prompt: Prompt) -> Prompt:
        room = self.room(prompt)
        head = round(room.count * self.head)
        tail = len(room.free) - room.count + head
        return prompt.keep(room.kept([*room.free[:head], *room.free[tail:]]))
