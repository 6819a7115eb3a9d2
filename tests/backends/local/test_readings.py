"""Readings of given texts behind a prompt, against one plain forward pass over everything."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.search import Found, Strategy, reread, write
from forethought.cost.flops import causal_pairs, forward_flops, rows_flops
from forethought.driver.driver import Driver
from forethought.models.chat.prompt import chat_prompt
from forethought.numerics.attention_rows import SharpestRows, cosines
from tests.backends.local.test_local import job, local, searched
from tests.models.plain_attention import attention_of
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET

PROMPT = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT).tokens
TEXT = tuple(TARGET.tokenizer.encode("It is 41, of course."))
SWAPPED = (*TEXT[:6], TEXT[0], *TEXT[7:])
RECENCY = (0.5, 0.25)


class Reading(Strategy):
    """Reads texts, and then samples an answer."""

    def __init__(self, texts, **asked):
        self.texts, self.asked, self.readings = texts, asked, []

    def search(self, start, rng):
        first = yield from write([start])
        self.readings = yield from reread(self.texts, **self.asked)
        later = yield from write([start, first[0]])
        return Found(first[0], tuple(later))


@dataclass
class Watched:
    """Plain attention that keeps its probabilities and its inputs."""

    keys: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    inputs: list = field(default_factory=list)

    def show(self, layer, inputs):
        self.inputs.append(inputs())

    def __call__(self, layer, q, k, v):
        shape = TARGET.shape.layers[layer]
        heads = k.repeat_interleave(shape.heads // shape.kv_heads, 1).double()
        scores = torch.einsum("nhd,ehd->hne", q.double(), heads) * shape.scale
        hidden = torch.ones(len(q), len(k)).triu(1).bool()
        self.rows.append(scores.masked_fill(hidden, -torch.inf).softmax(-1))
        return attention_of(shape, q, k, v).flatten(1).to(q.dtype)


def plain(text):
    """Log-probabilities [N, V], attention rows of each layer and last inputs of a text."""
    watched, every = Watched(), torch.tensor([*PROMPT, *text])
    with torch.inference_mode():
        logits = TARGET.network.forward(
            tokens=every,
            positions=torch.arange(len(every)),
            attend=watched,
            phase="prefill",
            logits_at=None,
            layers=None,
            show=watched.show,
        )
    law = torch.log_softmax(logits.double(), -1)[len(PROMPT) - 1 : -1]
    return law, [one[:, len(PROMPT) :] for one in watched.rows], watched.inputs[-1][len(PROMPT) :]


def read(texts, **asked):
    strategy = Reading(texts, **asked)
    done = searched(strategy, local())
    return strategy.readings, done


def check_chances(reading, text, top=0):
    law, _, _ = plain(text)
    own = [float(row[token]) for row, token in zip(law, text, strict=True)]
    assert reading.log_probabilities == pytest.approx(own, abs=1e-4)
    for row, best in zip(law, reading.top, strict=True):
        values, tokens = row.topk(top) if top else ([], [])
        assert [token for token, _ in best] == list(map(int, tokens))
        assert [chance for _, chance in best] == pytest.approx(list(map(float, values)), abs=1e-4)


def test_readings_equal_a_pass_over_prompt_and_text():
    (reading,), _ = read([TEXT], top=3)
    check_chances(reading, TEXT, top=3)
    assert reading.attention is reading.similarity is None


def test_later_texts_continue_what_they_share_with_the_first():
    texts = [TEXT, SWAPPED, TEXT[:4], TEXT]
    readings, _ = read(texts)
    for reading, text in zip(readings, texts, strict=True):
        check_chances(reading, text)


@pytest.mark.parametrize("block", [512, 7])
def test_attention_is_that_of_the_sharpest_heads(block, monkeypatch):
    monkeypatch.setattr("forethought.backends.local.reading.block_tokens", lambda _: block)
    (reading,), _ = read([TEXT], heads=5, recency=RECENCY)
    _, rows, inputs = plain(TEXT)
    kept = SharpestRows(5, RECENCY)
    for layer in rows:
        kept.add(0, layer.numpy(), len(TEXT))
    assert reading.attention == pytest.approx(kept.strongest(len(TEXT)), abs=1e-5)
    assert reading.similarity == pytest.approx(cosines(inputs.double().numpy()), abs=1e-5)
    assert "".join(reading.texts) == "It is 41, of course."
    assert np.count_nonzero(np.triu(reading.attention)) == 0


def test_readings_change_no_answer():
    before, after = searched(Reading([()]), local()), searched(Reading([TEXT, SWAPPED]), local())
    assert [one.text for one in before.found.considered] == [
        one.text for one in after.found.considered
    ]


def test_a_run_pays_for_the_tokens_that_are_read():
    plain_cost = read([()])[1].cost
    done = read([TEXT, SWAPPED], heads=4)[1].cost
    past, first, second = len(PROMPT), len(TEXT), len(TEXT) - 6
    shape = TARGET.shape

    def flops(before, tokens):
        pairs = [causal_pairs(before, tokens) for _ in shape.layers]
        return forward_flops(shape, tokens, pairs, logits=tokens)

    dense = flops(past, first) + flops(past + 6, second)
    # Attention rows are computed again for the tap, without the product with the values.
    rows = rows_flops(shape, past + first, first) + rows_flops(shape, past + first, second)
    assert done.scoring_tokens - plain_cost.scoring_tokens == first + second
    assert done.flops - plain_cost.flops == pytest.approx(dense + rows)


def test_a_budget_covers_readings_or_refuses_them_before_they_start():
    strategy = Reading([TEXT] * 40, heads=4)
    spent = searched(Reading([()]), local()).cost.flops
    done = searched(strategy, local(), budget=f"{1.2 * spent:.0f}FLOP")
    assert done.cost.flops <= 1.2 * spent
    assert strategy.readings == []


def test_a_text_beyond_the_context_is_refused():
    long = TEXT * (TARGET.shape.context // len(TEXT))
    strategy = Reading([long])
    (done,) = Driver(local()).run([job(strategy)])
    assert done.cut == "context" or isinstance(done.error, PromptTooLongError)
    assert strategy.readings == []
