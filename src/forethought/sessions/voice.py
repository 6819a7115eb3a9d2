"""One answer being spoken: tokens in, text out, stop strings obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.records import Event
from forethought.engine.decode import Stream
from forethought.engine.sampling import SampledToken
from forethought.models.tokenization.tokenizer import Tokenizer
from forethought.recipes.recipe import Recipe


class Voice:
    """Turns what a stream writes into text that can be shown."""

    def __init__(self, stream: Stream, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self.stream = stream
        self.text = ""
        self.log_probability = 0.0
        self._decoding = tokenizer.decoding()
        self._matcher = StopMatcher(recipe.stop, recipe.keep_stop)
        self._text_of: Callable[[list[int]], str] = tokenizer.decode

    def say(self, choice: SampledToken) -> Event:
        """Take in a token; the event that shows it."""
        shown = self._matcher.feed(self._decoding.push(choice.token))
        if self._matcher.stopped:
            self.stream.end("stop")
        self.text += shown
        self.log_probability += choice.log_probability
        top = [
            {"token": token, "text": self._text_of([token]), "log_probability": chance}
            for token, chance in choice.top
        ]
        data: dict[str, Any] = {
            "text": shown,
            "token": choice.token,
            "log_probability": choice.log_probability,
            "candidate": self.stream.candidate,
        }
        return Event("token", {**data, "top": top} if top else data)

    def rest(self) -> str:
        """What was held back, once the stream has ended."""
        shown = self._matcher.feed(self._decoding.finish()) + self._matcher.finish()
        self.text += shown
        return shown

    def record(self) -> dict[str, Any]:
        """This answer as one of a run's candidates."""
        return {
            "candidate": self.stream.candidate,
            "text": self.text,
            "tokens": len(self.stream.written),
            "log_probability": self.log_probability,
            "finish": self.stream.finish or "interrupted",
        }
