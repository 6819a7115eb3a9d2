"""The sizes of a transformers model, counted from its parameters."""

from __future__ import annotations

from typing import Any

from forethought.contracts.records import LayerShape, ModelShape


def shape_of(model: Any, layers: list[LayerShape]) -> ModelShape:
    """A model's sizes, given its attention layers; experts count as far as they are active."""
    config = model.config.get_text_config()
    embedding = model.get_input_embeddings().weight
    inside = sum(p.numel() for p in model.base_model.parameters()) - embedding.numel()
    return ModelShape(
        layers=tuple(layers),
        hidden=embedding.shape[1],
        vocabulary=embedding.shape[0],
        context=int(config.max_position_embeddings),
        layer_parameters=(inside - _idle_parameters(model, config)) // len(layers),
        head_parameters=embedding.numel(),
    )


def _idle_parameters(model: Any, config: Any) -> int:
    """Parameters of the experts that a token does not use."""
    chosen = getattr(config, "num_experts_per_tok", None)
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    if not chosen or not experts:
        return 0
    named = model.base_model.named_parameters()
    held: int = sum(p.numel() for name, p in named if ".experts." in name)
    return held - held * int(chosen) // int(experts)
