"""Keep the beginning and the end of the prompt, drop the middle; the usual stop-gap.

Paper: none; the default of many chat front ends
Exact: when keep reaches the prompt's length; whatever stood in the middle is lost.
Cost: the target reads keep tokens; nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Share
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening


@dataclass(frozen=True)
class Truncate(Shortening):
    """Keeps the head and the tail of what may be dropped."""

    head: Share = 0.5
    """Share of the droppable budget spent on the beginning; the rest goes to the end."""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt without its middle."""
        if not self.pays(len(prompt)):
            return prompt
        room = self.room(prompt)
        head = round(room.count * self.head)
        tail = len(room.free) - room.count + head
        return prompt.keep(room.kept([*room.free[:head], *room.free[tail:]]))
