"""A conversation: each turn is prefilled after the cache of the turns before."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace

from forethought.backends.local.local_run import LocalRun
from forethought.contracts.errors import PromptTooLongError, UsageError
from forethought.contracts.neurons import ANY_NEURONS
from forethought.contracts.questions import Question
from forethought.contracts.records import Event, Prompt
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.chat.prompt import chat_prompt, next_turn
from forethought.prefill.plan import Methods
from forethought.recipes.identity import run_identifier
from forethought.sessions.session import Session


@dataclass
class Conversation:
    """A session's models, and the turns so far.

    Methods that shorten the prompt act on the first turn alone. Evictions choose again at every
    turn among the remaining entries, and keep their budget for any length. Methods that see the
    whole cache choose once.
    """

    session: Session
    document: str = ""
    system: str | None = None
    _said: list[str] = field(default_factory=list)
    _prompt: Prompt | None = None
    _cache: SequenceCache | None = None
    _left_out: int = 0
    """Tokens that methods have left out of the first turn's prompt."""
    _broken: bool = False
    """Whether the cache holds a part of a turn that left no answer."""

    def __post_init__(self) -> None:
        recipe = self.session.recipe
        packing = any(method.cache_bits() < 16 for _, method in self.session.methods)
        if recipe.samples > 1 or packing or recipe.automatic or not recipe.plain:
            raise UsageError(
                "a conversation has one answer per turn and evicts from its cache at every turn",
                "leave out --samples, --search, --confidence, quantised-kv and auto",
            )

    def stream(self, question: str) -> Generator[Event, None, None]:
        """Answer one turn and yield its events; the last one holds the run's document."""
        if self._broken:
            raise UsageError(
                "an earlier turn ended before its answer began", "start a new conversation"
            )
        local = self._turn(question)
        recipe, said = self.session.recipe, "\0".join((*self._said, question))
        name = run_identifier(recipe, said, self.document, self.system)
        turn = self.session.answered(local, Question(name, said, self.document))
        self._broken = self._cache is not None  # the turn is read into it
        try:
            yield from self._told(turn, local, question)
        except PromptTooLongError:  # nothing of it was read
            self._broken = False
            raise

    def _told(
        self, turn: Generator[Event, None, None], local: LocalRun, question: str
    ) -> Generator[Event, None, None]:
        """Pass a turn's events on, and what is thrown in; remember it before its end is told."""
        interrupted = False
        with closing(turn), suppress(StopIteration):
            while True:
                event = turn.throw(KeyboardInterrupt()) if interrupted else next(turn)
                if event.kind == "done" and local.answer is not None:
                    self._said.append(question)
                    self._remember(local, local.answer, event.data["run"]["answer"])
                    self._broken = False
                try:
                    yield event
                    interrupted = False
                except KeyboardInterrupt:
                    interrupted = True

    def _turn(self, question: str) -> LocalRun:
        """The run of one turn, with its prompt."""
        session, model = self.session, self.session.target
        local = session.local_run(session.recipe, self.system)
        local.holds = True
        if self._prompt is None:
            local.prompt = chat_prompt(
                model.tokenizer, model.template, question, self.document, self.system
            )
            return local
        local.prompt, local.past = self._continued(question), self._cache
        local.methods = _later(session.methods)
        local.cached = self._cache.next if self._cache is not None else 0
        local.left_out = self._left_out
        return local

    def _continued(self, question: str) -> Prompt:
        """All turns so far and the new question, which alone is protected."""
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

    def _remember(
        self, local: LocalRun, answer: tuple[SequenceCache, list[int]], text: str
    ) -> None:
        """Keep the cache and the prompt that the next turn continues."""
        self._cache, tokens = answer
        prepared = local.prompts["target", ""]
        said = prepared.short
        assert said is not None, "an answer stands behind a prompt"
        self._left_out += len(prepared.prompt) - len(said)
        places = (len(said.text), len(said.text) + len(text))
        self._prompt = replace(
            said,
            tokens=said.tokens + tuple(tokens),
            spans=said.spans + (places,) * len(tokens),
            text=said.text + text,
            lookahead=None,
        )


def _later(methods: Methods) -> Methods:
    """The methods that act on every turn."""
    return tuple(
        (name, method)
        for name, method in methods
        if method.drafts_answers()
        or method.active_neurons(ANY_NEURONS) is not None
        or (method.evicts() and not method.sees_whole_cache() and not method.needs_all_queries())
    )
