"""The tensor shapes that a configuration implies."""

from __future__ import annotations

from forethought.contracts.errors import MAKE_ANEW, DamagedFileError
from forethought.models.checkpoint.claims import shortened
from forethought.models.decoder.config import DecoderConfig

Shape = tuple[int, ...]


def check_shape(config: DecoderConfig, name: str, found: Shape, where: str) -> None:
    """Raise DamagedFileError if a canonical tensor has another shape than configured."""
    promised = promised_shape(config, name)
    if promised is None:
        raise DamagedFileError(
            f"{where} holds the unknown tensor {shortened(name)}",
            f"fetch the model again, or {MAKE_ANEW}",
        )
    if tuple(found) != promised:
        raise DamagedFileError(
            f"{where}: {name} has the shape {list(found)}, but the configuration says "
            f"{list(promised)}",
            f"fetch the model again, or {MAKE_ANEW}",
        )


def promised_shape(config: DecoderConfig, name: str) -> Shape | None:
    """The shape of a canonical tensor; None for an unknown name."""
    inner = name.split(".", 2)[-1] if name.startswith("layers.") else name
    return _shapes(config).get(inner)


def _shapes(config: DecoderConfig) -> dict[str, Shape]:
    hidden, inner, expert = config.hidden, config.intermediate, config.expert_intermediate
    size, experts = config.head_dim, config.experts
    queries, keys = config.heads * size, config.kv_heads * size
    by_head = config.query_key_norm == "head"
    return {
        "embed.weight": (config.vocabulary, hidden),
        "head.weight": (config.vocabulary, hidden),
        "norm.weight": (hidden,),
        "attention_norm.weight": (hidden,),
        "attention_post_norm.weight": (hidden,),
        "mlp_norm.weight": (hidden,),
        "mlp_post_norm.weight": (hidden,),
        "query_norm.weight": (size if by_head else queries,),
        "key_norm.weight": (size if by_head else keys,),
        "qkv.weight": (queries + 2 * keys, hidden),
        "qkv.bias": (queries + 2 * keys,),
        "out.weight": (hidden, queries),
        "out.bias": (hidden,),
        "gate_up.weight": (2 * inner, hidden),
        "gate_up.bias": (2 * inner,),
        "down.weight": (hidden, inner),
        "down.bias": (hidden,),
        "router.weight": (experts, hidden),
        "experts.gate_up": (experts, 2 * expert, hidden),
        "experts.down": (experts, hidden, expert),
    }
