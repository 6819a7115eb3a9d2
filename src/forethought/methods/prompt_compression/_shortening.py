"""What methods that shorten a prompt to a budget have in common."""

from __future__ import annotations

from forethought.contracts.parameters import Keep, entries_kept
from forethought.contracts.roles import Approximation


class Shortening(Approximation):
    """A method of this family: it pays as soon as its budget is below the prompt."""

    keep: Keep
    """Prompt tokens the target reads: a count, or a share of the prompt."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be dropped."""
        return entries_kept(self.keep, prompt_length) < prompt_length

    def reads(self, prompt_length: int) -> int:
        """How many of the prompt's tokens the target will read at most."""
        return entries_kept(self.keep, prompt_length)
