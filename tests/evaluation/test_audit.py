"""The audit on tiny models that these tests train, in the order in question or in another."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from forethought.cli.main import exit_code
from forethought.contracts.errors import BadDataError, PromptTooLongError
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens
from forethought.evaluation.audit import AuditSettings, audited, read_order
from forethought.evaluation.window_losses import WindowLosses
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.model import Model
from tests.cli.tiny_folder import write_tiny_model
from tests.tiny import tiny_tensors
from tests.tiny_model import TEMPLATE, tiny_tokenizer

PREFIX, WINDOW = 4, 6
SETTINGS = AuditSettings(PREFIX, WINDOW, permutations=199)
TOKENIZER = tiny_tokenizer()
SIZES = {"vocab_size": TOKENIZER.vocabulary_size, "num_hidden_layers": 1}
LETTERS = np.random.default_rng(0).integers(97, 123, (60, PREFIX + WINDOW))
TEXTS = ["".join(map(chr, letters)) for letters in LETTERS]


def with_head(head: np.ndarray | None, name: str = "trained") -> Model:
    config, tensors = tiny_tensors(tie_word_embeddings=False, **SIZES)
    if head is not None:
        tensors["head.weight"] = torch.from_numpy(head)
    tensors = {key: tensor.to(torch.float64) for key, tensor in tensors.items()}
    decoder = Decoder(config, tensors, build_linears(tensors, {}, "bf16"))
    return Model(name, Path(), decoder, TOKENIZER, TEMPLATE)


@cache
def states_and_targets() -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each text, the final states behind the window, and the window's tokens."""
    found, final = [], FinalStates()
    batch = Batch(with_head(None).network, Meter(lambda: 0.0), final=final)
    for text in TEXTS:
        tokens = TOKENIZER.encode(text)
        rows = range(PREFIX - 1, PREFIX + WINDOW - 1)
        batch.forward([NewTokens(SequenceCache(1), tokens[:-1], logits_at=rows)], phase="prefill")
        found.append((final.rows.double().numpy(), np.array(tokens[PREFIX:])))
    return found


def trained(order: np.ndarray, rate: float = 0.1) -> Model:
    """A model whose head had one step of gradient descent on each text, in this order."""
    head = np.zeros((SIZES["vocab_size"], states_and_targets()[0][0].shape[1]))
    for place in order:
        states, targets = states_and_targets()[place]
        logits = states @ head.T
        slopes = np.exp(logits - logits.max(1, keepdims=True))
        slopes /= slopes.sum(1, keepdims=True)
        slopes[np.arange(WINDOW), targets] -= 1
        head -= rate * slopes.T @ states
    return with_head(head)


def order(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(TEXTS))


def test_losses_are_those_of_the_window_and_every_token_is_charged() -> None:
    head = np.random.default_rng(3).normal(size=(SIZES["vocab_size"], 32))
    scorer = WindowLosses(with_head(head), Meter(lambda: 0.0), PREFIX, WINDOW)

    losses = scorer.of([scorer.tokens(text + "beyond") for text in TEXTS])

    for loss, (states, targets) in zip(losses, states_and_targets(), strict=True):
        logits = states @ head.T
        chances = [
            np.exp(row[t]) / np.exp(row).sum() for row, t in zip(logits, targets, strict=True)
        ]
        assert loss == pytest.approx(-np.log(chances).mean(), rel=1e-5)
    assert scorer.meter.tokens["scoring"] == len(TEXTS) * (PREFIX + WINDOW - 1)


def test_a_model_trained_in_the_order_is_found() -> None:
    suspect = trained(np.arange(len(TEXTS)))
    found = audited(TEXTS, suspect, None, SETTINGS)
    beside = audited(TEXTS, suspect, trained(order(1)), SETTINGS)
    against = audited(TEXTS[::-1], suspect, trained(order(1)), SETTINGS)

    assert found.p_value < 0.05
    assert beside.p_value == 1 / 200
    assert beside.p_two_sided < 0.005
    assert against.p_value > 0.95
    assert against.correlation == pytest.approx(-beside.correlation)
    assert beside.scored_tokens == 2 * found.scored_tokens
    assert beside.flops == 2 * found.flops


def test_models_trained_in_other_orders_give_uniform_p_values() -> None:
    reference = trained(order(1000))
    found = [audited(TEXTS, trained(order(n)), reference, SETTINGS).p_value for n in range(60)]

    # The 1 % critical value for 60 models, and the width of a step of the p-value.
    assert kstest(found, "uniform").statistic < 1.63 / np.sqrt(60) + 1 / 200


def test_short_sequences_are_left_out_and_counted() -> None:
    found = audited(["ab", *TEXTS, TEXTS[0][:-1]], with_head(None), None, SETTINGS)

    assert (found.sequences, found.short) == (len(TEXTS), 2)


def test_too_few_or_too_long_sequences_are_refused() -> None:
    with pytest.raises(BadDataError, match="19 of 20 sequences have 10 tokens"):
        audited([*TEXTS[:19], "ab"], with_head(None), None, SETTINGS)
    with pytest.raises(PromptTooLongError, match="holds 512"):
        audited(TEXTS, with_head(None), None, AuditSettings(511, 2))


@pytest.mark.parametrize("line", ["no", "[]", '{"tokens": [1]}', '{"text": 1}', "[" * 100_000])
def test_a_line_without_a_text_is_refused_by_its_number(line: str, tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl"
    file.write_text(f'{{"text": "a"}}\n\n{line}\n')

    with pytest.raises(BadDataError, match="line 3"):
        read_order(str(file))


def test_the_verb_reports_the_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, file = str(write_tiny_model(tmp_path / "m")), tmp_path / "o.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*TEXTS, "ab"]))
    arguments = ["audit", str(file), "-m", model, "--prefix", "4", "--window", "6", "--json"]

    assert exit_code([*arguments, "--reference", model, "--permutations", "99"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["sequences"], found["short"], found["permutations"]) == (len(TEXTS), 1, 99)
    # The model beside itself: all differences are 0.
    assert (found["correlation"], found["p_value"]) == (0, 1)
    assert exit_code(arguments[:-1]) == 0
    assert "valid if the order was drawn at random" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the file of training sequences is missing"),
        (["no.jsonl"], "no.jsonl cannot be read"),
        (["no.jsonl", "-m", "http://127.0.0.1:9/v1"], "is a server"),
        (["no.jsonl", "-m", "smollm2+snapkv(keep=64)"], "has methods"),
        (["no.jsonl", "--window", "0"], "0 is not 1 to 100000"),
    ],
)
def test_wrong_usage_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["audit", *arguments]) == 2
    assert said in capsys.readouterr().err
