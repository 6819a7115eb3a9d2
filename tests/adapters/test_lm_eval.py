"""lm-eval scores multiple-choice questions over the server, by log-likelihoods equal to our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from forethought.adapters.local_engine import LocalEngine
from forethought.contracts.controls import GenerationControls
from forethought.contracts.records import Prompt
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_session import LiveRequest
from tests.server.served import MODELS, Served, serving
from tests.tiny import fresh_logits

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("lm_eval")
    pytest.importorskip("aiohttp")
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

CHOICES = [
    ("Which gas do plants take in from the air?", "carbon dioxide", "helium", "neon", "argon"),
    ("What is the capital of France?", "Paris", "Berlin", "Oslo", "a kind of cheese"),
    ("Which animal can fly?", "an eagle", "a cow", "a whale", "a snail"),
    ("What falls from clouds?", "rain", "bread", "sand and stones", "music"),
    ("At what temperature does water freeze?", "0 degrees", "50 degrees", "900 degrees", "never"),
    ("Which of these is a fruit?", "an apple", "a hammer", "a river", "a window"),
]
TASK = """
task: tiny_arc
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{choices.label.index(answerKey)}}}}"
doc_to_choice: "{{{{choices.text}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
SAID = """
task: tiny_said
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: generate_until
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{choices.text[0]}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 12, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks in lm-eval's form, and their questions in ARC's."""
    folder = tmp_path_factory.mktemp("tasks")
    labels = ["A", "B", "C", "D"]
    rows = [
        {"question": text, "choices": {"text": choices, "label": labels}, "answerKey": "A"}
        for text, *choices in CHOICES
    ]
    file = folder / "questions.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    (folder / "tiny_arc.yaml").write_text(TASK.format(file=file))
    (folder / "tiny_said.yaml").write_text(SAID.format(file=file))
    return folder


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets lie in a folder of the test, and nothing asks a hub."""
    for name, value in {"HF_HOME": tmp_path, "HF_DATASETS_OFFLINE": 1, "HF_HUB_OFFLINE": 1}.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture(scope="module")
def tiny() -> Iterator[Served]:
    with serving() as found:
        yield found


def evaluated(url: str, model: str, task: str, tasks: Path, **settings: object) -> dict[str, Any]:
    arguments = {"base_url": f"{url}/v1/completions", "model": model, **settings}
    return simple_evaluate(
        model="local-completions",
        model_args=arguments,
        tasks=[task],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )


Likelihood = Callable[[Model, str, str], tuple[float, bool]]


def by_prefills(model: Model, context: str, continuation: str) -> tuple[float, bool]:
    """The log-likelihood of a continuation, from a prefill for each of its tokens."""
    tokens = model.tokenizer.encode(context + continuation)
    start = len(model.tokenizer.encode(context))
    rows = [torch.log_softmax(fresh_logits(model.network, tokens[:n]).float(), -1)
            for n in range(start, len(tokens))]  # fmt: skip
    told = [float(row[token]) for row, token in zip(rows, tokens[start:], strict=True)]
    return sum(told), all(
        int(row.argmax()) == token for row, token in zip(rows, tokens[start:], strict=True)
    )


def by_engine(model: Model, context: str, continuation: str) -> tuple[float, bool]:
    """The log-likelihood of a continuation, as the engine scores a prompt without a server.

    A prefill of another length rounds bf16 differently, so it tells other digits.
    """
    tokens = model.tokenizer.encode(context + continuation)
    start = len(model.tokenizer.encode(context))
    prompt = Prompt(tuple(tokens), ((0, 0),) * len(tokens), "")
    request = LiveRequest("own", Recipe(), prompt=prompt, prompt_logprobs=1,
                          controls=GenerationControls(score_only=True))  # fmt: skip
    events = LocalEngine(lambda name, weights: model).run(request)
    [told] = [one.data for one in events if one.kind == "prompt"]
    chances = told["log_probabilities"][start:]
    tops = [max(one["log_probability"] for one in top) for top in told["top"][start:]]
    return sum(chances), chances == tops


def check_likelihoods(found: dict[str, Any], model: Model, own: Likelihood = by_prefills) -> None:
    samples = found["samples"]["tiny_arc"]
    assert len(samples) == len(CHOICES)
    for sample in samples:
        asked = [tuple(one.values()) for one in sample["arguments"].values()] if isinstance(
            sample["arguments"], dict) else sample["arguments"]  # fmt: skip
        assert len(asked) == 4
        for (context, continuation), (told, greedy) in zip(
            asked, sample["filtered_resps"], strict=True
        ):
            likelihood, is_greedy = own(model, context, continuation)
            assert told == pytest.approx(likelihood, abs=1e-3)
            assert greedy == is_greedy


@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer_backend": "remote"},
        {},  # lm-eval finds the server's tokenizer by itself
        {"tokenizer_backend": "remote", "batch_size": 5},
        {"tokenizer_backend": "remote", "num_concurrent": 4},
        {"tokenizer_backend": "remote", "tokenized_requests": False},
    ],
    ids=["remote", "found", "batches", "concurrent", "texts"],
)
def test_log_likelihoods_equal_our_own(tiny: Served, tasks: Path, settings: dict) -> None:
    check_likelihoods(evaluated(tiny.url, "tiny", "tiny_arc", tasks, **settings), MODELS["tiny"])


def test_generated_answers_are_those_of_the_engine(tiny: Served, tasks: Path) -> None:
    found = evaluated(tiny.url, "tiny", "tiny_said", tasks, tokenizer_backend="remote")

    for sample, (text, *_) in zip(found["samples"]["tiny_said"], CHOICES, strict=True):
        fields = {"prompt": f"Question: {text}\nAnswer:", "stop": ["\n"], "max_tokens": 12}
        [choice] = tiny.complete(**fields).json()["choices"]
        assert sample["resps"] == [[choice["text"]]]


@pytest.fixture(scope="module")
def default_server(smollm2: Model) -> Iterator[Served]:
    with serving({**MODELS, "smollm2": smollm2}, recipe=Recipe()) as found:
        yield found


def test_the_default_model_knows_most_answers(
    default_server: Served, smollm2: Model, tasks: Path
) -> None:
    found = evaluated(default_server.url, "smollm2", "tiny_arc", tasks, tokenizer_backend="remote")

    check_likelihoods(found, smollm2, by_engine)
    assert found["results"]["tiny_arc"]["acc_norm,none"] >= 0.6


def test_a_key_reaches_the_server_in_both_ways(
    tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    with serving(keys=("right",)) as locked:
        settings = {"tokenizer_backend": "remote", "auth_token": "right"}
        found = evaluated(locked.url, "tiny", "tiny_arc", tasks, **settings)

    assert len(found["samples"]["tiny_arc"]) == len(CHOICES)


def run_line(arguments: Sequence[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *arguments],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_documented_line_runs(default_server: Served, tasks: Path) -> None:
    told = run_line([
        "--model", "local-completions", "--tasks", "tiny_arc", "--include_path", str(tasks),
        "--model_args",
        f"base_url={default_server.url}/v1/completions,model=smollm2,tokenizer_backend=remote",
    ])  # fmt: skip

    assert "tiny_arc" in told
    assert "acc_norm" in told
