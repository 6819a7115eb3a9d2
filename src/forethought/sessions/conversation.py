"""Several questions over one cache: each turn is read behind the last, and the cache cut again."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace

from forethought.contracts.errors import UsageError
from forethought.contracts.records import Event, Prompt
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.chat.prompt import chat_prompt, next_turn
from forethought.prefill.prefill import Methods
from forethought.recipes.identity import run_identifier
from forethought.sessions.asking import Asking
from forethought.sessions.session import Session


@dataclass
class Conversation:
    """A session's models, and what was said so far.

    Methods that shorten the prompt act on the first turn alone. Those that drop cache entries
    choose anew at every turn among what is still held; they keep no more than their budget
    whatever was said before. Methods that must see the whole cache choose once.
    """

    session: Session
    document: str = ""
    system: str | None = None
    _said: list[str] = field(default_factory=list)
    _prompt: Prompt | None = None
    _row: SequenceCache | None = None

    def __post_init__(self) -> None:
        recipe = self.session.recipe
        packing = any(method.cache_bits() < 16 for _, method in self.session.methods)
        if recipe.samples > 1 or packing or recipe.automatic or recipe.search:
            raise UsageError(
                "a conversation has one answer a turn, and a cache that can be cut again",
                "leave out --samples, --search, quantised-kv and auto",
            )

    def stream(self, question: str) -> Generator[Event, None, None]:
        """The events of one turn; the last one holds the run's document."""
        self._said.append(question)
        asking = self._asking(question)
        yield from asking.events()
        self._remember(asking)

    def _asking(self, question: str) -> Asking:
        session, model = self.session, self.session.target
        first = self._prompt is None
        prompt = (
            chat_prompt(model.tokenizer, model.template, question, self.document, self.system)
            if first
            else self._continued(question)
        )
        return Asking(
            recipe=session.recipe,
            methods=session.methods if first else _later(session.methods),
            target=model,
            draft_model=session.draft,
            prompt=prompt,
            identifier=run_identifier(
                session.recipe, "\0".join(self._said), self.document, self.system
            ),
            load_seconds=session.load_seconds if first else 0.0,
            clock=session.clock,
            past=self._row,
        )

    def _continued(self, question: str) -> Prompt:
        """All that was said, and the new question; only the question must stay."""
        assert self._prompt is not None
        model, before = self.session.target, self._prompt
        turn = next_turn(model.tokenizer, model.template, question)
        length, start = len(before), len(before.text)
        return Prompt(
            tokens=before.tokens + turn.tokens,
            spans=before.spans + tuple((start + a, start + b) for a, b in turn.spans),
            text=before.text + turn.text,
            protected=frozenset(range(length, length + len(turn.tokens))),
            content=(0, start + len(turn.text)),
        )

    def _remember(self, asking: Asking) -> None:
        """What the next turn is read behind."""
        if not asking.voices or asking.read_prompt is None:
            raise UsageError(
                "the last turn ended before its answer began", "begin the conversation anew"
            )
        stream = asking.voices[0].stream
        said, text = asking.read_prompt, asking.voices[0].text
        places = (len(said.text), len(said.text) + len(text))
        self._row = stream.row
        self._prompt = replace(
            said,
            tokens=said.tokens + tuple(stream.written),
            spans=said.spans + (places,) * len(stream.written),
            text=said.text + text,
            lookahead=None,
        )


def _later(methods: Methods) -> Methods:
    """The methods that act on every turn."""
    return tuple(
        (name, method)
        for name, method in methods
        if method.evicts() and not method.sees_whole_cache() and not method.needs_all_queries()
    )
