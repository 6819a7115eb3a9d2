"""Models and drafts of which only the sizes are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forethought.contracts.records import ModelShape, Prompt
from forethought.contracts.roles import Approximation, Draft, Tap
from forethought.models.decoder.config import DecoderConfig
from forethought.prefill.planning import default_layer_span

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ShapedModel:
    """A model of which only the configuration is known."""

    config: DecoderConfig

    @property
    def shape(self) -> ModelShape:
        """Sizes of the network."""
        return self.config.shape

    def for_length(self, tokens: int) -> ShapedModel:
        """The model for texts of so many tokens."""
        longer = self.config.for_long_texts() if tokens > self.config.context else self.config
        return ShapedModel(longer)

    def first_layers(self, count: int) -> DecoderConfig:
        """The configuration cut after so many layers."""
        config = self.config
        return replace(
            config,
            layers=count,
            windows=config.windows[:count],
            layer_ropes=config.layer_ropes[:count],
            expert_layers=tuple(layer for layer in config.expert_layers if layer < count),
        )


@dataclass(frozen=True)
class ShapedDraft(Draft):
    """A draft of which only the sizes are known; it runs nothing."""

    model: ShapedModel
    target: ShapedModel
    remote_target: bool = False
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Whether the target drafts for itself."""
        return "self" if self.model is self.target else "draft"

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.model.config.layers

    @property
    def layer_span(self) -> tuple[int, int]:
        """The default first layer that methods use, and one past the last."""
        own, target = self.model.shape, self.target.shape
        return default_layer_span(own, target, is_self=self.model is self.target)

    def serving(self, method: Approximation) -> ShapedDraft:
        """The draft that a method uses: this one, or the target itself."""
        return replace(self, model=self.target) if method.drafts_with_itself() else self

    def read(
        self,
        prompt: Prompt,
        tap: Tap,
        *,
        layers: int | None = None,
        lookahead: int = 0,
        queries: int | None = None,
    ) -> list[int]:
        """Costs are planned by `on_prompt` of no method."""
        raise AssertionError("an estimate runs no model")

    def carry(self, importance: Tensor, prompt: Prompt) -> Tensor:
        """Costs are planned by `on_prompt` of no method."""
        raise AssertionError("an estimate runs no model")

    def charge(self, tokens: int, flops: float) -> None:
        """Costs are planned by `on_prompt` of no method."""
        raise AssertionError("an estimate runs no model")
