"""The base of methods that shorten a prompt to a budget."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from forethought.contracts.names import method_name
from forethought.contracts.parameters import Keep, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation
from forethought.methods.prompt_compression._room import PromptRoom, room_in


@dataclass(frozen=True)
class Shortening(Approximation):
    """A prompt compression method: it changes every prompt that is longer than its budget."""

    keep: Keep = 1024
    """Most prompt tokens that the target prefills: a count, or a share of the prompt."""
    _: KW_ONLY
    protect: bool = True
    """Always keep the chat template and the question."""

    @property
    def name(self) -> str:
        """The method's name."""
        return method_name(type(self))

    def pays(self, prompt_length: int) -> bool:
        """Whether the method drops any token."""
        return entries_kept(self.keep, prompt_length) < prompt_length

    def reads(self, prompt_length: int) -> int:
        """Most prompt tokens that the target prefills."""
        return entries_kept(self.keep, prompt_length)

    def check_room(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError if protected tokens exceed `keep`."""
        if self.pays(len(prompt)):
            self.room(prompt)

    def room(self, prompt: Prompt) -> PromptRoom:
        """The droppable tokens and their budget; raises if protected tokens exceed `keep`."""
        return room_in(prompt, self.keep, self.name, protect=self.protect)
