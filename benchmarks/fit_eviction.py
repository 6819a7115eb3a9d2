"""Fit the files that `kvzap`, `kvzip-heads` and `duo-attention` take, on a text of your choice.

    python benchmarks/fit_eviction.py smollm2 --kvzap kvzap.safetensors --heads heads.tsv

The model repeats passages of the text. A ridge regression per layer maps the inputs of attention to
the logarithm of kvzip-plus scores. The scores of a head are those of its best entry, or for `--duo`
its mean reach over all passages.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch
from safetensors.torch import save_file
from torch import Tensor

from forethought.contracts.roles import Approximation, FullCacheView, LayerView
from forethought.methods.kv_eviction.importance.far_heads import FarHeads
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction, text_span
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from prose import passage, prose

LEAST = 1e-12  # a score of zero has no logarithm


@dataclass
class Ridge:
    """A ridge regression with an intercept, from sums over samples."""

    penalty: float = 1.0
    count: int = 0
    sums: list[Tensor] = field(default_factory=list)
    """Of inputs, of targets, of inputs times inputs, and of inputs times targets."""

    def add(self, inputs: Tensor, targets: Tensor) -> None:
        """Add samples: inputs [N, I] and targets [N, O]."""
        x, y = inputs.double(), targets.double()
        new = [x.sum(0), y.sum(0), x.T @ x, x.T @ y]
        self.sums = [a + b for a, b in zip(self.sums, new, strict=True)] if self.sums else new
        self.count += len(x)

    def fitted(self) -> tuple[Tensor, Tensor]:
        """The weight [O, I] and the bias [O]."""
        x, y, xx, xy = self.sums
        x, y = x / self.count, y / self.count
        spread = xx - self.count * torch.outer(x, x)
        both = xy - self.count * torch.outer(x, y)
        ridge = self.penalty * torch.eye(len(x), dtype=x.dtype)
        weight = torch.linalg.solve(spread + ridge, both).T
        return weight.float().contiguous(), (y - weight @ x).float().contiguous()


@dataclass(frozen=True)
class Fitting(Approximation):
    """Keeps every entry, and collects what the files need."""

    maps: dict[int, Ridge]
    heads: list[Tensor]
    """One table [layers, K] a passage: the best score of each head."""
    reach: list[Tensor]

    def pays(self, prompt_length: int) -> bool:
        """Always."""
        return True

    def evicts(self) -> bool:
        """In form, so that it sees the whole cache."""
        return True

    def sees_whole_cache(self) -> bool:
        """After the prefill."""
        return True

    def on_cache(self, cache: FullCacheView) -> None:
        """Collect scores and inputs of one passage."""
        first, last = text_span(cache.prompt)
        plain = Reconstruction().score_cache(cache)
        self.heads.append(torch.stack([own[:, first:last].amax(1) for own in plain]))
        scores = Reconstruction(normalised=True).score_cache(cache)

        def look(view: LayerView) -> None:
            targets = scores[view.layer][:, first:last].clamp(min=LEAST).log().T
            ridge = self.maps.setdefault(view.layer, Ridge())
            ridge.add(view.inputs[first:last].cpu(), targets.cpu())

        cache.read(cache.prompt.tokens, look, after=0)
        self.reach.append(torch.stack([FarHeads().reach(view) for view in cache.layers]))


def collected(session: Session, fitting: Fitting, passages: Sequence[str]) -> None:
    """Let the model read and repeat every passage."""
    for number, text in enumerate(passages):
        start = perf_counter()
        for _ in session.stream("What is this text about?", text):
            pass
        print(f"passage {number + 1} of {len(passages)}: {perf_counter() - start:.1f} s")


def written(table: Tensor, file: Path) -> None:
    """Write head scores [layers, K], a line a layer."""
    file.write_text("".join("\t".join(f"{x:.6g}" for x in row) + "\n" for row in table.tolist()))


def main() -> None:
    """Collect, fit and write."""
    from forethought.models.load import load

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--text", help="a file; licences of the system by default")
    parser.add_argument("--passages", type=int, default=8)
    parser.add_argument("--characters", type=int, default=4000, help="of a passage")
    parser.add_argument("--kvzap", type=Path, help="safetensors file to write")
    parser.add_argument("--heads", type=Path, help="file of head scores by repetition to write")
    parser.add_argument("--duo", type=Path, help="file of head scores by reach to write")
    options = parser.parse_args()
    model, fitting = load(options.model), Fitting({}, [], [])
    recipe = Recipe(model=options.model, max_tokens=1)
    session = Session(recipe, (("fitting", fitting),), model, model, clock=perf_counter)
    text = prose(options.text)
    collected(
        session, fitting, [passage(text, options.characters, n) for n in range(options.passages)]
    )
    if options.kvzap:
        parts = {n: ridge.fitted() for n, ridge in fitting.maps.items()}
        named = [(f"layers.{n}.weight", w) for n, (w, _) in parts.items()]
        named += [(f"layers.{n}.bias", b) for n, (_, b) in parts.items()]
        save_file(dict(named), options.kvzap)
    if options.heads:
        written(torch.stack(fitting.heads).amax(0), options.heads)
    if options.duo:
        written(torch.stack(fitting.reach).mean(0), options.duo)


if __name__ == "__main__":
    main()
