"""Which recipes of a batch can share one pass of a draft over their prompt."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import reduce

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation
from forethought.prefill.draft_model import DraftInput, ModelDraft
from forethought.prefill.draft_reading import ReadingPart


@dataclass(frozen=True)
class PlannedReading:
    """What a method of a recipe needs of its draft, before the draft runs."""

    method: Approximation
    draft: ModelDraft
    given: DraftInput

    @classmethod
    def of(
        cls, method: Approximation, draft: ModelDraft, prompt: Prompt, answer_tokens: int
    ) -> PlannedReading:
        """The pass over a prompt; raises PromptTooLongError if it does not fit."""
        ahead = method.lookahead_tokens(answer_tokens)
        return cls(method, draft, draft.input_of(prompt, method.draft_layers(draft), ahead))

    @property
    def key(self) -> Hashable:
        """Equal for passes that differ only in layers, look-ahead and queries."""
        return self.draft.reading_key(self.given)

    @property
    def part(self) -> ReadingPart:
        """The part of the shared pass that the method needs."""
        queries = self.method.scored_queries()
        return ReadingPart(self.given.layers, self.given.lookahead, queries)


def share_readings(planned: Sequence[PlannedReading]) -> None:
    """Give the drafts of different methods on one prompt a pass to share."""
    groups: dict[Hashable, list[PlannedReading]] = {}
    for one in planned:
        groups.setdefault(one.key, []).append(one)
    for key, group in groups.items():
        if len({one.method for one in group}) > 1:
            part = reduce(ReadingPart.joined, (one.part for one in group))
            shared = group[0].draft.reading(group[0].given, part)
            for one in group:
                one.draft.readings[key] = shared
