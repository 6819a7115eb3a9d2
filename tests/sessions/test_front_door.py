"""The README's first command is answered rightly, and not by a hair, on every machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from forethought import catalogue
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import DENSE_FILE, Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.hardware import threads as thread_count
from forethought.models.load import load
from forethought.models.model import Model
from forethought.models.sources import model_cache
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session

ROOT = Path(__file__).parents[2]
NAME = "Marigold"
LEAST_MARGIN = 1.0
"""Between the log-probabilities of a deciding token and the next one; other kernels, formats and
numbers of threads move it by a tenth."""
LEAST_BEFORE = 0.3
"""The same for each token before the name: another one may lead to another name."""


def command() -> list[str]:
    """The first command of the README, as words."""
    found = re.search(r"&& forethought (ask .*)", (ROOT / "README.md").read_text("utf-8"))
    assert found
    return shlex.split(found[1])


def option(name: str) -> str:
    words = command()
    return words[words.index(name) + 1]


@pytest.fixture(scope="module")
def in_float32(smollm2: Model, smollm2_folder: Path) -> Model:
    tensors = {
        name: tensor.float() for name, tensor in load_file(smollm2_folder / DENSE_FILE).items()
    }
    config = DecoderConfig.from_json(model_cache.read_text(smollm2_folder / model_cache.CONFIG))
    return replace(smollm2, network=Decoder(config, tensors, build_linears(tensors, {}, "bf16")))


@pytest.fixture(scope="module")
def in_bf16(smollm2_folder: Path) -> Model:
    return load("smollm2", weights="bf16", device="cpu")


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    thread_count._of_process.cache_clear()
    yield request.param
    torch.set_num_threads(before)
    thread_count._of_process.cache_clear()


def answered(model: Model, *approximate: str) -> tuple[str, list[dict[str, Any]]]:
    """The answer to the README's question, and its tokens."""
    recipe = Recipe(approximate=approximate, logprobs=2, max_tokens=40)
    methods = tuple((name, catalogue.build(name)) for name in approximate)
    document = (ROOT / option("-f")).read_text("utf-8")
    *events, done = Session(recipe, methods, model, model).stream(command()[1], document)
    tokens = [event.data for event in events if event.kind == "token"]
    return done.data["run"]["answer"], tokens


FORMS = [
    pytest.param("smollm2", 1, marks=pytest.mark.slow),
    ("smollm2", 2),
    ("in_bf16", 1),
    pytest.param("in_float32", 2, marks=pytest.mark.slow),
]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("form", "threads"), FORMS, indirect=["threads"])
@pytest.mark.parametrize("approximated", [False, True])
def test_the_first_answer_is_right_with_a_margin(
    form: str, approximated: bool, request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(form)

    answer, tokens = answered(model, *([option("-x")] if approximated else []))

    assert NAME in answer
    before = answer[: answer.index(NAME)].rstrip()
    deciding = [token for token, at in placed(tokens) if len(before) <= at < len(before) + 9]
    assert "".join(token["text"] for token in deciding).strip() == NAME
    assert min(margin(token) for token in deciding) >= LEAST_MARGIN
    leading = [margin(token) for token, at in placed(tokens) if at < len(before)]
    assert min(leading) >= LEAST_BEFORE


def placed(tokens: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Tokens and where in the answer each begins."""
    at = 0
    for token in tokens:
        yield token, at
        at += len(token["text"])


def margin(token: dict[str, Any]) -> float:
    best, second = (one["log_probability"] for one in token["top"])
    return float(best - second)
