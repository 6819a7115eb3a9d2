"""llama.cpp's own server with the default model: what it does otherwise than a toy is understood.

Needs an interpreter with `llama-cpp-python[server]`, named by FORETHOUGHT_LLAMA_PYTHON.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint
from forethought.backends.openai.protocol import CompletionParams
from forethought.cli.main import exit_code
from forethought.contracts.backend import VerdictRequest
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate
from forethought.driver.driver import Driver
from forethought.methods.search.majority_vote import MajorityVote
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import gguf_of, load
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask
from forethought.storage.store import Store
from tests.backends.openai.remote_asks import outcome_of, request
from tests.driver.searches import job

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("FORETHOUGHT_LLAMA_PYTHON", "")
QUESTION = Question("q", "What is 17 + 25? Answer with one short sentence.")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            with urlopen(f"{address}/models", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(address)


@contextmanager
def serving() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server's address and process."""
    if not Path(PYTHON).is_file():
        pytest.skip("FORETHOUGHT_LLAMA_PYTHON names no interpreter with llama-cpp-python[server]")
    port = free_port()
    settings = {
        "model": gguf_of("smollm2"),
        "host": "127.0.0.1",
        "port": port,
        "n_ctx": 2048,
        "n_threads": 1,
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    command = [PYTHON, "-m", "llama_cpp.server", *options, "--model_alias", "smol"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/v1", server)
            yield f"http://127.0.0.1:{port}/v1", server
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def address(smollm2_folder: Path) -> Iterator[str]:
    with serving() as (found, _):
        yield found


@pytest.fixture(scope="module")
def model(smollm2_folder):
    return load("smollm2", device="cpu")


@pytest.fixture
def remote(address):
    with OpenAIBackend(
        Endpoint.parse(f"{address}#smol"), CompletionParams(temperature=0.8)
    ) as found:
        yield found


@pytest.fixture
def raw(address):
    """The same model, asked by raw prompts: then it goes on from the beginnings of answers."""

    def lay(question: str) -> str:
        return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"

    with OpenAIBackend(
        Endpoint.parse(f"{address}#smol"), CompletionParams(temperature=0.0), raw=lay
    ) as found:
        yield found


def vote(remote, **settings):
    asked = replace(job(MajorityVote(n=4), **settings), question=QUESTION, max_tokens=40)
    (done,) = Driver(remote).run([asked])
    assert done.error is None
    return done


def test_what_it_does_is_found_out(remote, raw, model):
    assert remote.abilities == {"log-probabilities", "verdicts"}
    assert remote.capabilities.served == "smol"
    greeting = chat_prompt(model.tokenizer, model.template, "Hi", "")
    assert abs(remote.capabilities.overhead - len(greeting)) <= 2
    assert raw.abilities == {"log-probabilities", "verdicts", "steps"}


def test_a_vote_draws_with_seeds_of_its_own_and_again_the_same(remote, model):
    done = vote(remote)
    found = done.found.considered

    assert len({one.text for one in found}) > 1
    assert all(one.whole for one in found)
    assert all(one.log_probability < 0 for one in found)
    assert done.cost.output_tokens == sum(one.tokens for one in found)
    for one in found:
        assert one.tokens == pytest.approx(len(model.tokenizer.encode(one.text)), abs=2)
    prompt = len(chat_prompt(model.tokenizer, model.template, QUESTION.text, ""))
    assert done.cost.prompt_tokens == pytest.approx(4 * prompt, rel=0.3)
    assert [one.text for one in vote(remote).found.considered] == [one.text for one in found]


def test_a_budget_is_held(remote):
    done = vote(remote, budget="20tok")

    assert done.cost.output_tokens <= 20
    assert done.budget_spent


def test_verdicts_are_chances(remote):
    found = outcome_of(
        remote, VerdictRequest("j", "run", ("Is snow white? Yes or No.",), ("Yes", "No"))
    )

    assert sum(found.chances[0]) == pytest.approx(1.0)
    assert all(0 < chance < 1 for chance in found.chances[0])


def test_an_answer_is_gone_on_from_and_ends_where_it_should(raw):
    counting = Question("count", "Count from one to nine in English words, one on each line.")
    begun = Candidate(path=(0,), steps=("One\nTwo\n",), tokens=4)
    first = outcome_of(
        raw, request("step", question=counting, parent=begun, until="step", max_tokens=9)
    )

    assert first.piece.text == "Three\n"
    assert first.piece.finish == "step"
    assert first.piece.log_probability < 0
    assert first.piece.tokens == first.cost.output_tokens > 0
    raw_stopping = OpenAIBackend(
        raw.endpoint, CompletionParams(temperature=0.0, stop=("Five",)), raw=raw.raw
    )
    with raw_stopping as stopping:
        asked = request("stop", question=counting, parent=begun, max_tokens=30)
        assert outcome_of(stopping, asked).piece.text == "Three\nFour\n"


def test_the_command_line_asks_and_compares(address, tmp_path, capsys):
    server, file = f"{address}#smol", tmp_path / "results.sqlite"
    assert exit_code(["ask", QUESTION.text, "-m", server, "--max-tokens", "30", "--json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    compared = ["compare", "majority-vote(n=4)", "-m", server, "-t", "addition(count=2)"]
    line = [*compared, "--max-tokens", "30", "--results", str(file), "--json"]
    assert exit_code(line) == 0
    first = json.loads(capsys.readouterr().out)
    assert exit_code(line) == 0

    assert asked["answer"]
    assert asked["cost"]["output_tokens"] > 0
    assert [one["questions"] for one in first["standings"]] == [2, 2]
    assert json.loads(capsys.readouterr().out)["standings"] == first["standings"]
    with Store.open(file) as store:
        kept = store.samples()
    assert len(kept) == 4
    assert {sample.provenance["served"] for sample in kept} == {"smol"}


LICENCE = (Path(__file__).parents[3] / "LICENSE").read_text()


def needle(number: int) -> tuple[str, str, str]:
    """A document of about 1,000 tokens with a code in it, a question and the code."""
    code, place = str(10_007 * (number + 3)), ("Riga", "Porto", "Ghent", "Lucca")[number]
    sentence = f"The secret code word for {place} is amber-{code}."
    start = 700 * number
    half = LICENCE[start : start + 2200], LICENCE[start + 2200 : start + 4400]
    return f"\n\n{sentence}\n\n".join(half), f"What is the secret code word for {place}?", code


def test_a_draft_here_shortens_what_the_server_reads(address, tmp_path, capsys):
    document, question, code = needle(0)
    file = tmp_path / "text.txt"
    file.write_text(document)
    line = [
        "ask",
        question,
        "-m",
        f"{address}#smol",
        "-d",
        "smollm2",
        "-x",
        "specpc-shallow(keep=0.25)",
    ]

    assert exit_code([*line, "-f", str(file), "--max-tokens", "24", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert code in run["answer"]
    assert run["kept"]["prompt_tokens"] <= 0.25 * run["kept"]["of"] + 1
    assert run["cost"]["prompt_tokens"] < 0.4 * run["kept"]["of"]
    assert run["cost"]["draft_tokens"] == run["kept"]["of"]
    assert run["timing"]["stages"]["draft"] > 0
    assert "the prompt is sent as text; kept tokens are those of smollm2" in run["notes"]


def test_needles_are_found_as_with_the_local_target(address):
    """The draft is the target's model, so both keep the same tokens."""
    found = {"http": 0, "smollm2": 0}
    for number in range(4):
        document, question, code = needle(number)
        positions = []
        for model, draft in ((f"{address}#smol", "smollm2"), ("smollm2", "self")):
            recipe = Recipe(model, draft, ("specpc-shallow(keep=0.25)",), max_tokens=24)
            run = ask(question, recipe, document=document)
            positions.append(run["kept"]["positions"])
            found["http" if draft == "smollm2" else "smollm2"] += code in run["answer"]
        assert positions[0] == positions[1]

    assert found["http"] >= found["smollm2"] >= 3


def test_a_server_of_two_that_is_killed_changes_no_sample(address, remote):
    expected = sorted(one.text for one in vote(remote).found.considered)
    with serving() as (other, process):
        params = CompletionParams(temperature=0.8)
        replicas = (Endpoint.parse(f"{other}#smol"),)
        first = Endpoint.parse(f"{address}#smol")
        with OpenAIBackend(first, params, replicas=replicas) as pool:
            assert pool.capabilities.logprobs
            for number in range(8):  # other runs, so that both servers have work
                pool.submit(replace(request(f"k{number}", question=QUESTION), run=f"r{number}"))
            killer = threading.Timer(1.0, process.kill)
            killer.start()
            done = vote(pool)
            killer.join()

    assert sorted(one.text for one in done.found.considered) == expected
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered)
