"""How many sampled drafts a rule of acceptance takes: of one drafted token, on average.

    python benchmarks/draft_rules.py qwen-coder-1.5b --draft qwen-coder-0.5b [--log]
    python benchmarks/draft_rules.py smollm2 --layers 8 15 22 --top-p 0.95 --only story

The target samples an answer to each prompt of drafting_prompts.py. At every place of it, p is the
law of the target and q that of the draft, both behind temperature and nucleus. The columns are the
probabilities that a drafted token is taken, by exact formulas:

- `residual`: drawn from q, accepted with min(1, p/q): the sum of min(p, q), the most there is.
- `one number`: both draw with one uniform number by inversion, in the order of the vocabulary, and
  the draws agree, as here. `by rank`: the same in the order of rank.
- `noise`: both take the token of the greatest logit plus Gumbel noise, with the same noise for
  each token, and the draws agree (arXiv:2408.07978).
- `likeliest`: the draft is the likeliest token of q; p of it.
- `independent`: drawn from q with a number of its own, and equal to the target's draw.

Tokens a pass follow from 4 drafted tokens: (1 - a^5) / (1 - a) at each prompt's mean a.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from drafting_prompts import PROMPTS, Prompt
from report import publish

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.contracts.roles import Network
    from forethought.engine.sampling import SamplingParams
    from forethought.models.model import Model

RULES = ["residual", "one number", "by rank", "noise", "likeliest", "independent"]
COLUMNS = ["draft", "prompt", "places", *RULES]
DRAFTED = 4
_TRIED = 256
"""Tokens whose chance to be both draws is summed; the others together have next to none."""


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--draft", help="a model with the same tokenizer")
    parser.add_argument("--layers", type=int, nargs="*", default=[], help="first layers that draft")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--new", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="*", help="names of prompts; all where none is named")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    heat = f"temperature {options.temperature:g}, top_p {options.top_p:g}"
    publish(f"rules of acceptance, {options.model}, {heat}", COLUMNS, measure(options), options.log)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each draft and prompt, and the means of each draft."""
    import torch

    from forethought.engine.sampling import SamplingParams
    from forethought.models.load import load

    if options.threads:
        torch.set_num_threads(options.threads)
    sampling = SamplingParams(temperature=options.temperature, top_p=options.top_p)
    model = load(options.model)
    drafts = {f"{n} layers": model.network.first_layers(n) for n in options.layers}
    if options.draft:
        drafts[options.draft] = load(options.draft).network
    found: list[dict[str, Any]] = []
    with torch.inference_mode():
        for prompt in [one for one in PROMPTS if not options.only or one.name in options.only]:
            tokens, answer, laws = written(model, prompt, sampling, options.new)
            for name, draft in drafts.items():
                shares = list(acceptances(laws, draft, [*tokens, *answer[:-1]], sampling))
                means = {rule: statistics.mean(one[rule] for one in shares) for rule in RULES}
                found.append({"draft": name, "prompt": prompt.name, "places": len(laws), **means})
                print(found[-1], file=sys.stderr)
    return [*found, *(row for name in drafts for row in summaries(name, found))]


def summaries(name: str, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The mean acceptance over prompts, and the mean of their tokens a pass."""
    own = [row for row in rows if row["draft"] == name]
    places = sum(row["places"] for row in own)
    means = {rule: statistics.mean(row[rule] for row in own) for rule in RULES}
    yield {"draft": name, "prompt": "mean", "places": places, **means}
    runs = {
        rule: statistics.mean(sum(row[rule] ** n for n in range(DRAFTED + 1)) for row in own)
        for rule in RULES
    }
    yield {"draft": name, "prompt": "tokens a pass", "places": places, **runs}


def written(
    model: Model, prompt: Prompt, sampling: SamplingParams, new: int
) -> tuple[Sequence[int], list[int], list[Tensor]]:
    """The prompt, the tokens that the target samples behind it, and the law of each."""
    from forethought.engine.batch import Batch
    from forethought.engine.cache.sequence_cache import SequenceCache
    from forethought.engine.meter import Meter
    from forethought.engine.sampling import choose
    from forethought.models.chat.prompt import chat_prompt

    asked = chat_prompt(model.tokenizer, model.template, prompt.question, prompt.document)
    batch = Batch(model.network, Meter(lambda: 0.0))
    cache = SequenceCache(len(model.network.shape.layers))
    logits = batch.prefill(cache, asked.tokens)
    answer: list[int] = []
    laws: list[Tensor] = []
    while len(answer) < new:
        laws.append(law(logits, sampling))
        answer.append(choose(logits, sampling, 0, len(answer)).token)
        if answer[-1] in model.tokenizer.ends:
            break
        logits = batch.follow(cache, answer[-1:])
    return asked.tokens, answer, laws


def acceptances(
    laws: Sequence[Tensor], draft: Network, tokens: Sequence[int], sampling: SamplingParams
) -> Iterator[dict[str, float]]:
    """The chances of a draft behind each place of an answer, by rule."""
    from forethought.engine.batch import Batch
    from forethought.engine.cache.sequence_cache import SequenceCache
    from forethought.engine.meter import Meter
    from forethought.engine.new_tokens import NewTokens

    batch, cache = Batch(draft, Meter(lambda: 0.0)), SequenceCache(len(draft.shape.layers))
    start = len(tokens) - len(laws) + 1
    batch.prefill(cache, tokens[: start - 1])
    part = NewTokens(cache, tokens[start - 1 :])
    rows = batch.forward([part], phase="prefill", every=True)
    for p, logits in zip(laws, rows, strict=True):
        yield by_rule(p, law(logits[: len(p)], sampling))


def law(logits: Tensor, sampling: SamplingParams) -> Tensor:
    """The law [V] that a token is drawn from, float64."""
    chances = ((logits - logits.max()).double() / sampling.temperature).softmax(0)
    ranked, tokens = chances.sort(descending=True, stable=True)
    stays = ranked.cumsum(0) - ranked < sampling.top_p
    kept = chances.new_zeros(len(chances)).scatter(0, tokens[stays], ranked[stays])
    return kept / kept.sum()


def by_rule(p: Tensor, q: Tensor) -> dict[str, float]:
    """The chances that a token drafted from q is taken."""
    import torch

    return {
        "residual": float(torch.minimum(p, q).sum()),
        "one number": _overlap(p, q),
        "by rank": _overlap(p, q, ranked=True),
        "noise": _same_noise(p, q),
        "likeliest": float(p[q.argmax()]),
        "independent": float((p * q).sum()),
    }


def _overlap(p: Tensor, q: Tensor, *, ranked: bool = False) -> float:
    """The length that the intervals of a token under p and q have in common, over all tokens."""
    import torch

    def ends(chances: Tensor) -> tuple[Tensor, Tensor]:
        tokens = chances.argsort(descending=True) if ranked else torch.arange(len(chances))
        stops, empty = chances[tokens].cumsum(0), torch.zeros_like(chances)
        starts = empty.scatter(0, tokens, stops - chances[tokens])
        return starts, empty.scatter(0, tokens, stops)

    (low, high), (least, most) = ends(p), ends(q)
    return float((torch.minimum(high, most) - torch.maximum(low, least)).clamp(min=0).sum())


def _same_noise(p: Tensor, q: Tensor) -> float:
    """The sum over tokens i of 1 / sum over j of max(p_j / p_i, q_j / q_i)."""
    import torch

    _, tokens = torch.minimum(p, q).topk(min(_TRIED, len(p)))
    tokens = tokens[torch.minimum(p, q)[tokens] > 0]
    each = [1 / torch.maximum(p / p[token], q / q[token]).sum() for token in tokens]
    return float(sum(each))


if __name__ == "__main__":
    main()
