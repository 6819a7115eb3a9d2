"""The examples run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from tests.server.served import MODELS, Served, serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def told(*command: str, **environment: str) -> str:
    """What a program says that runs in the repository."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("file", "peer", "said"),
    [
        ("langchain_compressor.py", "langchain_core", "blue clock"),
        ("llama_index_compressor.py", "llama_index", "blue clock"),
    ],
)
def test_a_compressor_keeps_the_answer(smollm2: Model, file: str, peer: str, said: str) -> None:
    if find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")

    text = told(f"examples/{file}")

    assert said in text
    assert "kept" in text


LLM = """
import runpy
import llm.plugins
import forethought.adapters.llm

llm.plugins.load_plugins()
# Where the package is not installed, its entry point is not either.
if not llm.plugins.pm.is_registered(forethought.adapters.llm):
    llm.plugins.pm.register(forethought.adapters.llm)
runpy.run_path("examples/llm_conversation.py")
"""
INSPECT = """
import sys
sys.path.insert(0, "examples")
import forethought.adapters.inspect_ai
from inspect_ai import eval
from inspect_task import capitals

[log] = eval(capitals(), model="forethought/smollm2", display="none", log_dir=sys.argv[1])
print(log.status, log.results.scores[0].metrics["accuracy"].value)
"""


def test_the_conversation_of_llm(smollm2: Model, tmp_path: Path) -> None:
    pytest.importorskip("llm")

    text = told("-c", LLM, LLM_USER_PATH=str(tmp_path))

    assert "key" in text
    assert "Usage(input=" in text


def test_the_task_of_inspect(smollm2: Model, tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")

    status, accuracy = told("-c", INSPECT, str(tmp_path)).split()[-2:]

    assert status == "success"
    assert float(accuracy) >= 0.5


@pytest.fixture
def server(smollm2: Model) -> Iterator[Served]:
    with serving({**MODELS, "smollm2": smollm2}, recipe=Recipe()) as found:
        yield found


def test_the_task_of_lm_eval(server: Served, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")

    text = told(
        "-m", "lm_eval", "--model", "local-completions", "--tasks", "capitals",
        "--include_path", "examples/lm_eval", "--model_args",
        f"base_url={server.url}/v1/completions,model=smollm2,tokenizer_backend=remote,num_concurrent=4",
        HF_HOME=str(tmp_path), HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1",
    )  # fmt: skip

    assert "capitals" in text
    assert "acc_norm" in text
