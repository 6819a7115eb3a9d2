"""Protocol of the network that computes logits. Nothing here imports torch at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.neurons import NeuronChoice

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from forethought.contracts.records import ModelShape

ShowInputs = Callable[[int, Callable[[], "Tensor"]], None]
"""Receives, before a layer's attention, a function that computes its inputs [N, hidden]."""
ShowStates = Callable[["Tensor"], None]
"""Receives the final hidden states [R, hidden] of the logits' rows: after the last norm, before the
output head."""
Attend = Callable[[int, "Tensor", "Tensor", "Tensor"], "Tensor"]
"""Attention: (layer, q [N, H, D], k [N, K, D], v [N, K, D]), after RoPE, to [N, H * D]."""


class Network(Protocol):
    """A decoder: next-token logits for packed tokens; the caller supplies attention."""

    shape: ModelShape
    device: torch.device
    dtype: torch.dtype
    weight_format: str = "bf16"
    """The format of the weights that decode passes read."""
    format_seconds: Mapping[str, float] = {}
    """Measured seconds of a decode pass's products, by format; empty if none were compared."""

    @property
    def capturable(self) -> bool:
        """Whether a decode pass never reads a value of its device on the host."""
        return False

    @property
    def fingerprint(self) -> str:
        """Hash of shape and weights: equal for models whose hidden states mean the same."""
        raise UnsupportedModelError(
            "a probe reads the hidden states of one model, and this one cannot be told from others",
            "use a model that runs here",
        )

    def for_long_texts(self) -> Network:
        """The network for sequences beyond the context, if RoPE scaling differs; else itself."""
        return self

    def for_scores(self) -> Network:
        """The network for prefills that only score tokens, with cheaper products; else itself.

        Its entries are approximate, so no prefix cache mixes them with exact ones.
        """
        return self

    def first_layers(self, count: int) -> Network:
        """The network of the first `count` layers and the head; one object for each count."""
        raise UnsupportedModelError(
            "the method drafts with the first layers of the model, which cannot be split",
            "use another drafter, or a model of a family that runs without transformers",
        )

    @property
    def neurons(self) -> int:
        """Neurons of the MLP in each layer."""
        raise UnsupportedModelError(
            "the method computes part of the MLP's neurons, and this model does not expose them",
            "use a dense model of a family that runs without transformers",
        )

    def showing(self, choice: NeuronChoice) -> Network:
        """The network whose prefills show the activations of every MLP to `choice`."""
        raise AssertionError("only networks with `neurons` show their activations")

    def with_neurons(self, kept: Sequence[Tensor]) -> Network:
        """The network for decode passes with these neurons of each layer, as smaller matrices."""
        raise AssertionError("only networks with `neurons` can be sliced")

    def with_top_neurons(self, count: int) -> Network:
        """The network whose decode passes use the `count` strongest gates of each token.

        One object for each count.
        """
        raise AssertionError("only networks with `neurons` choose among them")

    def rotate(self, layer: int, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate a layer's queries or keys [N, any, D] by `positions` [N], as RoPE does.

        Positions may be negative or fractional; magnitudes stay.
        """
        raise UnsupportedModelError(
            "the method rotates queries to other positions, and this model exposes no RoPE",
            "use another method, or a model of a family that runs without transformers",
        )

    def output_weights(self, layer: int) -> Tensor:
        """[H, D, hidden]: the weights of a layer that project each head's output."""
        raise UnsupportedModelError(
            "the method weighs values by the output projection, which this model does not expose",
            "use another method, or a model of a family that runs without transformers",
        )

    @property
    def one_format(self) -> bool:
        """Whether prefill and decode passes read the same weights, so that entries are equal."""
        return self.weight_bytes("prefill") == self.weight_bytes("decode")

    def weight_bytes(self, phase: str, layers: int | None = None, tokens: int = 1) -> int:
        """Bytes of weights that one forward pass of this phase reads for `tokens` tokens."""
        ...

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        attend: Attend,
        *,
        phase: str,
        logits_at: Tensor | None = None,
        layers: int | None = None,
        show: ShowInputs | None = None,
        final: ShowStates | None = None,
    ) -> Tensor:
        """Logits [R, V] (float32) of the rows `logits_at` [R] of packed tokens [N].

        `positions` [N] are position ids. `phase`, "prefill" or "decode", only chooses the
        weight format. With `layers`, the pass stops after that many layers and returns an
        empty tensor. `logits_at` None means every token. `show` receives the attention's inputs,
        after their norm, from networks that expose them. `final` receives the states that the
        logits are computed from, once per pass with logits.
        """
        ...
