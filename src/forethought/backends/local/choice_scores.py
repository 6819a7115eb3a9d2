"""Probabilities of given answers after a prompt, by the rules of `contracts.search.ChoiceRule`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.verdicts import ChoiceRule
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import NewTokens
from forethought.models.tokenization.tokenizer import Tokenizer

_ROWS = 256
"""Tokens of options in one pass, whose logits are held at once."""


def next_token_chances(
    tokenizer: Tokenizer, logits: Tensor, choices: Sequence[str], rule: ChoiceRule
) -> list[float]:
    """Probabilities of choices by a rule that reads the next token alone."""
    match rule:
        case "token":
            return token_chances(tokenizer, logits, choices)
        case "greedy":
            return greedy_chances(tokenizer, logits, choices)
        case _:
            return word_chances(tokenizer, logits, choices)


def word_chances(tokenizer: Tokenizer, logits: Tensor, choices: Sequence[str]) -> list[float]:
    """Probabilities by first tokens in all spellings: "Yes", " Yes", "yes", " yes"."""
    whole = torch.log_softmax(logits.double(), 0)
    firsts = [_first_tokens(tokenizer, one) for one in choices]
    each = torch.stack([torch.logsumexp(whole[tokens], 0) for tokens in firsts])
    found: list[float] = torch.softmax(each, 0).tolist()
    return found


def _first_tokens(tokenizer: Tokenizer, choice: str) -> list[int]:
    spellings = {f"{space}{word}" for space in ("", " ") for word in (choice, choice.lower())}
    return sorted({tokenizer.encode(text)[0] for text in spellings})


def token_chances(tokenizer: Tokenizer, logits: Tensor, choices: Sequence[str]) -> list[float]:
    """Probabilities of the tokens that the choices are."""
    whole = torch.softmax(logits.double(), 0)
    return [_mass(tokenizer, whole, one) for one in choices]


def _mass(tokenizer: Tokenizer, chances: Tensor, choice: str) -> float:
    return float(chances[list(_known_tokens(tokenizer, choice))].sum())


def greedy_chances(tokenizer: Tokenizer, logits: Tensor, choices: Sequence[str]) -> list[float]:
    """1 for the choice that is the likeliest of all tokens, 0 for all others."""
    best = int(logits.argmax())
    return [float(best in _known_tokens(tokenizer, one)) for one in choices]


def _known_tokens(tokenizer: Tokenizer, choice: str) -> tuple[int, ...]:
    """The tokens that a choice is; raises UnsupportedModelError if none is."""
    tokens = label_tokens(tokenizer, choice)
    if not tokens:
        raise UnsupportedModelError(
            f"the answer {choice!r} is not one token of this model",
            "score the texts of the answers",
        )
    return tokens


def label_tokens(tokenizer: Tokenizer, label: str) -> tuple[int, ...]:
    """The tokens that are this label, with and without a leading space; empty if none is."""
    encoded = [tokenizer.encode(label), tokenizer.encode(f" {label}")]
    found = {tokens[0] for tokens in encoded if len(tokens) == 1}
    own = tokenizer.token_of(label)
    return tuple(sorted(found | ({own} if own is not None else set())))


def option_tokens(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """The tokens of an answer's text, and the end token: so no answer is the start of another."""
    end = () if tokenizer.end is None else (tokenizer.end,)
    return (*tokenizer.encode(text), *end)


def text_chances(
    batch: Batch, cache: SequenceCache, logits: Tensor, options: Sequence[Sequence[int]]
) -> list[float]:
    """The geometric mean of the probabilities of each option's tokens after the cached prompt.

    `logits` [V] are those after the prompt. All options continue forks of its cache.
    """
    first = torch.log_softmax(logits.double(), 0)
    sums = [float(first[tokens[0]]) for tokens in options]
    for pack in _packs(options):
        parts = [NewTokens(cache.fork(), options[number][:-1]) for number in pack]
        sizes = [len(part.tokens) for part in parts]
        rows = torch.log_softmax(batch.forward(parts, phase="prefill", every=True).double(), 1)
        for number, mine in zip(pack, torch.split(rows, sizes), strict=True):
            wanted = torch.tensor(options[number][1:], device=mine.device)
            sums[number] += float(mine.gather(1, wanted[:, None]).sum())
    means = [total / len(tokens) for total, tokens in zip(sums, options, strict=True)]
    found: list[float] = torch.tensor(means, dtype=torch.float64).exp().tolist()
    return found


def _packs(options: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The numbers of the options of more than one token, as many as fit a pass."""
    pack: list[int] = []
    size = 0
    for number, tokens in enumerate(options):
        if len(tokens) < 2:
            continue
        if pack and size + len(tokens) > _ROWS:
            yield pack
            pack, size = [], 0
        pack.append(number)
        size += len(tokens)
    if pack:
        yield pack
