"""Shortens prompts on this machine before a server prefills them.

The draft stands in for the server's model: it counts the tokens, and methods select among its
tokens. Each prompt of a run is shortened once, by a worker thread, while requests of other prompts
are under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from threading import Event

from forethought.backends.openai.protocol import Body
from forethought.contracts.backend import Opened
from forethought.contracts.records import Cost, Kept, Prompt
from forethought.engine.meter import Clock, Meter
from forethought.models.chat.conversation_forms import JOINT
from forethought.models.chat.message import Message
from forethought.models.chat.messages import messages_prompt
from forethought.models.chat.prompt import chat_prompt
from forethought.models.hardware.sliced_task import SlicedTask
from forethought.models.model import Model
from forethought.prefill.draft_model import DraftResults
from forethought.prefill.plan import Methods
from forethought.prefill.prefill_reuse import PrefillReuse
from forethought.prefill.prepare import Preparation, PreparedPrompt

_SLICE = 0.1
"""Seconds of a draft between two looks at whether anybody still waits."""


@dataclass(frozen=True)
class LocalTokens:
    """The tokenizer and the chat template of a model on this machine (see `TokenPrompts`)."""

    model: Model

    def encode(self, text: str) -> list[int]:
        """The tokens of plain text."""
        return self.model.tokenizer.encode(text)

    def rendered(self, question: str) -> tuple[str, list[int]]:
        """A question in the chat template, as text and as tokens."""
        prompt = chat_prompt(self.model.tokenizer, self.model.template, question)
        return prompt.text, list(prompt.tokens)

    @property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        return sorted(self.model.tokenizer.ends)

    def fields(self, question: str, prefix: str) -> Body:
        """The fields of a request with a question as token ids."""
        return self.continued(self.rendered(question)[1], prefix)

    def continued(self, ids: list[int], prefix: str) -> Body:
        """The fields of a request with a prompt and the beginning of its answer as token ids."""
        begun = self.encode(prefix) if prefix else []
        return {"prompt": [*ids, *begun], "stop_token_ids": self.ends}


@dataclass(frozen=True)
class ShortPrompt:
    """A prompt after the methods have shortened it."""

    prompt: Prompt
    opened: Opened
    stages: Mapping[str, float]
    """Seconds of each stage."""
    tokens: LocalTokens

    @property
    def text(self) -> str:
        """The remaining document and question, as the user's message."""
        return self.prompt.content_text

    def fields(self, question: str, prefix: str) -> Body:
        """The fields of a request with this prompt as token ids."""
        return self.tokens.continued(list(self.prompt.tokens), prefix)


@dataclass
class Compression:
    """Prompt compression methods, and the draft that stands in for a server's model."""

    methods: Methods
    draft: Model
    answer_tokens: int
    system: str | None = None
    """The system message of every prompt."""
    history: tuple[Message, ...] = ()
    """The messages between the system message and the question."""
    clock: Clock = time.perf_counter
    results: DraftResults = field(default_factory=dict)
    """Results of drafts, shared by runs on the same prompts."""
    reuse: PrefillReuse | None = None
    """Entries and results of earlier requests; only the thread of the drafts touches them."""

    @property
    def tokens(self) -> LocalTokens:
        """The draft's tokenizer and chat template."""
        return LocalTokens(self.draft)

    def shared(self, question: str, document: str, executor: Executor) -> SharedPrompt:
        """A prompt that requests wait for; `executor` runs the drafts."""
        return SharedPrompt(self, question, document, executor)

    def prepare(self, question: str, document: str) -> PreparedPrompt:
        """Plan the methods for a prompt; no model runs yet."""
        model = self.draft
        prompt = self._prompt(question, document)
        preparation = Preparation(
            self.methods,
            model,
            model,
            self.answer_tokens,
            self.results,
            self.reuse,
            remote_target=True,
        )
        return preparation.prepare(prompt, Meter(self.clock))

    def _prompt(self, question: str, document: str) -> Prompt:
        """The whole prompt; methods shorten nothing of the messages before the question."""
        model, before = self.draft, list(self.history)
        if not before:
            return chat_prompt(model.tokenizer, model.template, question, document, self.system)
        if self.system is not None:
            before.insert(0, Message("system", self.system))
        document, question = document.strip(), question.strip()  # as templates do
        asked = f"{document}{JOINT}{question}" if document else question
        messages = [*before, Message("user", asked)]
        prompt = messages_prompt(model.tokenizer, model.template, messages)
        stop = prompt.content[1]
        start = prompt.text.rindex(asked, 0, stop)
        free = start + len(document) if document else stop
        kept = (i for i, (a, b) in enumerate(prompt.spans) if a == b or a < start or b > free)
        return replace(prompt, protected=frozenset(kept), content=(start, stop))

    def shorten(self, prepared: PreparedPrompt, stopped: Event) -> ShortPrompt | None:
        """Run the methods; None if `stopped` is set before their end."""
        found: list[Prompt] = []
        task = SlicedTask(lambda: found.append(prepared.chosen()), self.clock)
        while not task.ended:
            if stopped.is_set():
                task.cancel()
                return None
            task.advance(_SLICE)
        (short,) = found
        places = short.origins or tuple(range(len(short)))
        kept = Kept(len(short), len(prepared.prompt), places)
        notes = (*prepared.notes, *_consecutive(short))
        opened = Opened(len(prepared.prompt), kept, notes)
        return ShortPrompt(short, opened, dict(prepared.meter.stages), self.tokens)


@dataclass
class SharedPrompt:
    """A prompt that requests of a run wait for; it is shortened once."""

    compression: Compression
    question: str
    document: str
    executor: Executor
    prepared: PreparedPrompt = field(init=False)
    _work: asyncio.Future[ShortPrompt | None] | None = None
    _stopped: Event = field(default_factory=Event)
    _waiting: int = 0

    def __post_init__(self) -> None:
        self._prepare()

    async def ready(self) -> ShortPrompt:
        """The shortened prompt; the work stops if nobody waits for it any more."""
        self._waiting += 1
        try:
            if self._work is None:
                self._start()
            assert self._work is not None, "just started"
            short = await asyncio.shield(self._work)
            assert short is not None, "stopped only if nobody waits"
            return short
        finally:
            self._waiting -= 1
            if not self._waiting and self._work is not None and not self._work.done():
                self._stopped.set()
                self._work = None

    def spent(self) -> Cost:
        """The cost of the drafts so far."""
        return self.prepared.spent()

    @property
    def most_tokens(self) -> int:
        """Most tokens of the shortened prompt."""
        length = len(self.prepared.prompt)
        for method in self.prepared.plan.applied:
            length = method.reads(length)
        return length

    @property
    def most_bytes(self) -> int:
        """Most bytes of the shortened prompt: those of its longest tokens."""
        prompt = self.prepared.prompt
        texts = (prompt.text[start:stop] for start, stop in prompt.spans)
        sizes = sorted((len(text.encode("utf-8", "surrogatepass")) for text in texts), reverse=True)
        return sum(sizes[: self.most_tokens])

    def _start(self) -> None:
        if self._stopped.is_set():  # an earlier start was given up
            self._prepare()
        self._stopped = Event()
        self._work = asyncio.get_running_loop().run_in_executor(
            self.executor, self.compression.shorten, self.prepared, self._stopped
        )

    def _prepare(self) -> None:
        self.prepared = self.compression.prepare(self.question, self.document)


def _consecutive(short: Prompt) -> tuple[str, ...]:
    """A note if a method asks for positions with gaps, which no request can state."""
    if not short.positions:
        return ()
    return ("the server counts the positions of kept tokens anew, without gaps",)
