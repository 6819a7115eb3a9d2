"""The models that a server has loaded, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from forethought.contracts.errors import UnknownNameError
from forethought.models.chat.answer import visible_tokens
from forethought.models.chat.reasoning import reasoning_markers
from forethought.models.model import Model

Load = Callable[[str, str], Model]
"""(name, weights) to a model."""


@dataclass
class ServedModels:
    """Models by name; requests never load one."""

    weights: str = "auto"
    _models: dict[str, Model] = field(default_factory=dict)
    _visible: dict[str, frozenset[int]] = field(default_factory=dict)

    def load(self, names: Iterable[str], load: Load) -> None:
        """Load the models of these names."""
        for name in names:
            model = self._models[name] = load(name, self.weights)
            markers = reasoning_markers(model.template, model.tokenizer)
            self._visible[name] = visible_tokens(model.tokenizer, markers)

    def named(self, name: str, weights: str = "auto") -> Model:
        """A loaded model; raises UnknownNameError for any other."""
        if name not in self._models:
            raise UnknownNameError.among("served model", name, self._models)
        return self._models[name]

    def visible(self, name: str) -> frozenset[int]:
        """Control tokens of reasoning and tool calls, which the text of an answer must show."""
        return self._visible.get(name, frozenset())

    def get(self, name: str) -> Model | None:
        """A loaded model; None for a name on another server, and for an encoder."""
        return self._models.get(name)
