"""A prompt that several answers start from: shortened, read and cut once, as its recipe says."""

from __future__ import annotations

from dataclasses import dataclass

from forethought import catalogue
from forethought.contracts.backend import Opened
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Prompt
from forethought.cost.flops import answer_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import CacheMark
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model
from forethought.prefill.byte_budgets import sized
from forethought.prefill.context_room import check_context, room_behind, short_room
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.prefill import (
    PrefillPlan,
    PrefillResult,
    plan,
    read,
    reading_flops,
    shortened,
)
from forethought.recipes.recipe import Recipe


@dataclass
class PreparedPrompt:
    """A prompt, and what is read of it once somebody asks."""

    recipe: Recipe
    target: Model
    """As it reads texts of this length."""
    prompt: Prompt
    plan: PrefillPlan
    draft: ModelDraft
    meter: Meter
    reading: PrefillResult | None = None
    start: CacheMark | None = None
    """Where an answer begins, once it is read and before anything is written behind it."""
    room: int = 0
    """Most tokens that an answer may have, once it is read."""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        target: Model,
        draft: Model,
        question: str,
        document: str,
        meter: Meter,
        system: str | None = None,
    ) -> PreparedPrompt:
        """The prompt of a question, laid out and not read."""
        prompt = chat_prompt(target.tokenizer, target.template, question, document, system)
        drafting = ModelDraft(draft, target, meter)
        methods = [(name, catalogue.build(name)) for name in recipe.approximate]
        chosen = plan(sized(methods, target), prompt, drafting)
        if any(method.evicts_every() for method in chosen.applied):
            raise UsageError(
                "a search goes on from the caches of its candidates, which a method that drops "
                "entries while it answers would change",
                "use every=0",
            )
        return cls(recipe, target, prompt, chosen, drafting, meter)

    def flops_at_most(self) -> float:
        """FLOPs of reading it, its drafts included."""
        length, most = len(self.prompt), self.recipe.max_tokens
        flops = reading_flops(self.plan.applied, length, self.draft)
        for method in self.plan.applied:
            if method.uses_draft() or method.sees_whole_cache():
                # A guess of the answer may be written by the draft, and read by the target.
                serving = self.draft.serving(method)
                flops += answer_flops(serving.model.shape, length, most)
                flops += 2 * answer_flops(self.target.shape, length, most + 1)
        return flops

    def told(self) -> Opened:
        """What was found in reading it."""
        kept = self.read().kept
        short = short_room(self.room, self.recipe.max_tokens)
        return Opened(len(self.prompt), kept, (*self.plan.notes, *short))

    def read(self) -> PrefillResult:
        """Read it, the first time it is asked for."""
        if self.reading is None:
            most = self.recipe.max_tokens
            with self.meter.stage("draft"):
                short = shortened(self.plan, self.prompt, self.draft, most)
            self.target = self.target.for_length(short.end + len(short.lookahead or ()) + most)
            check_context(short, self.target, self.draft)
            with self.meter.stage("prefill"):
                batch = Batch(self.target.network, self.meter)
                self.reading = read(batch, self.target, short, self.plan, len(self.prompt))
            self.start = self.reading.row.mark()
            self.room = room_behind(short, self.target)
        return self.reading
