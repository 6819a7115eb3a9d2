"""Comparisons on a real Ray cluster: its workers, its nodes and the driver are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model
from tests.evaluation.test_ray_cells import alone

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
QUESTIONS = 10
RECIPES = ["exact", "snapkv", "majority-vote(n=4)", "--keep", "330"]
TASKS = ["-t", "niah-single-1(tokens=700, count=6)", "-t", "vt(tokens=700, count=4)"]
ARGUMENTS = ["evaluate", *RECIPES, *TASKS, "--threads", "1"]
ON_RAY = ["--ray", "local", "--ray-actors", "2"]
TOTAL = 3 * QUESTIONS
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache, path = tmp_path_factory.mktemp("cache"), f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return {**os.environ, "FORETHOUGHT_CACHE": str(cache), "PYTHONPATH": path}


@pytest.fixture
def start(model: Path, environment: dict[str, str]) -> Iterator[Start]:
    begun = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "forethought", *arguments]
        pipe = subprocess.PIPE
        model_flag = [] if "-m" in arguments else ["-m", str(model)]
        process = subprocess.Popen(
            [*command, *model_flag], stdout=pipe, stderr=pipe, env=environment, text=True
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def whole(model, environment, tmp_path_factory):
    """The output and the samples of a run without Ray."""
    file = tmp_path_factory.mktemp("whole") / "results.sqlite"
    command = [sys.executable, "-m", "forethought", *ARGUMENTS, "-m", str(model)]
    run = subprocess.run(
        [*command, "--results", str(file)], env=environment, capture_output=True, check=True
    )
    return run.stdout.decode(), samples(file)


def samples(file: Path) -> dict[str, object]:
    """What a file holds, without what depends on the batch of a sample."""
    if not file.exists():
        return {}
    with Store.open(file) as store:
        return {one.key: (one.recipe, one.score, alone(one.run)) for one in store.samples()}


def descendants(process: subprocess.Popen[str]) -> dict[int, str]:
    """The command lines of all processes below a process."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            names[int(folder.name)] = (folder / "cmdline").read_bytes().decode().strip("\0")
            parents[int(folder.name)] = int(state[1])
        except OSError:  # it has ended
            continue
    found, new = set(), {process.pid}
    while new:
        new = {one for one, parent in parents.items() if parent in new} - found
        found |= new
    return {one: names[one] for one in found}


def actors(process: subprocess.Popen[str]) -> list[int]:
    found = descendants(process).items()
    return [one for one, name in found if name.startswith("ray::CellWorker")]


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert err == ""
    return out


def waited(process: subprocess.Popen[str], ready: Callable[[], object]) -> bool:
    """Whether it became ready before the process ended."""
    while process.poll() is None:
        if ready():
            return True
        time.sleep(0.02)
    return False


def test_it_prints_and_stores_what_a_run_without_ray_does(start, whole, tmp_path):
    file = tmp_path / "r.sqlite"

    out = finished(start(*ARGUMENTS, *ON_RAY, "--results", str(file)))

    assert (out, samples(file)) == whole


def test_killed_workers_lose_nothing(start, whole, tmp_path):
    file, moments, killed = tmp_path / "r.sqlite", random.Random(1), 0
    process = start(*ARGUMENTS, *ON_RAY, "--results", str(file))

    for aim in (1, 6, 12, 20):
        if waited(process, lambda aim=aim: len(samples(file)) >= aim and actors(process)):
            os.kill(moments.choice(actors(process)), signal.SIGKILL)
            killed += 1

    assert finished(process) == whole[0]
    assert samples(file) == whole[1]
    assert killed >= 2


def test_a_killed_driver_goes_on_and_leaves_no_worker(start, whole, tmp_path):
    file, seen = tmp_path / "r.sqlite", [0]
    for _ in range(2):
        process = start(*ARGUMENTS, *ON_RAY, "--results", str(file))
        assert waited(process, lambda: len(samples(file)) > seen[-1] + 2)
        workers = actors(process)
        process.kill()
        process.communicate()
        seen.append(len(samples(file)))
        assert all(ended(one, within=30) for one in workers)

    assert 0 < seen[1] < seen[2] < TOTAL
    assert finished(start(*ARGUMENTS, *ON_RAY, "--results", str(file))) == whole[0]
    assert samples(file) == whole[1]


def ended(process: int, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_an_interruption_keeps_what_is_done(start, whole, tmp_path):
    file = tmp_path / "r.sqlite"
    process = start(*ARGUMENTS, *ON_RAY, "--results", str(file))
    assert waited(process, lambda: len(samples(file)) > 2)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "")
    assert err.startswith("stopped: all finished answers are in")
    assert 2 < len(samples(file)) < TOTAL
    assert samples(file).items() <= whole[1].items()


def test_errors_of_workers_are_errors_of_ours(start, tmp_path):
    results = ["--results", str(tmp_path / "r.sqlite")]
    process = start(*ARGUMENTS[:1], "bm25(keep=3)", *TASKS, *ON_RAY, *results)

    out, err = process.communicate(timeout=100)

    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: ")
    assert "must stay" in err
    assert "Traceback" not in err
    assert "ray" not in err


def test_a_cluster_that_is_not_there_is_an_error(start, tmp_path):
    results = ["--results", str(tmp_path / "r.sqlite")]
    process = start(*ARGUMENTS, "--ray", "127.0.0.1:1", *results)

    out, err = process.communicate(timeout=200)

    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: no Ray cluster can be used at 127.0.0.1:1")
    assert "Traceback" not in err


def test_each_endpoint_of_a_pool_has_a_worker(start, mortals, tmp_path):
    model = ["-m", f"{','.join(f'{one.base}/v1' for one in mortals)}#toy"]
    arguments = [
        *ARGUMENTS[:1],
        "exact",
        "majority-vote(n=4)",
        *TASKS,
        *model,
        "--temperature",
        "1",
    ]
    alone_file, file = tmp_path / "alone.sqlite", tmp_path / "r.sqlite"
    expected = finished(start(*arguments, "--results", str(alone_file)))
    for one in mortals:
        one.set(delay=0.5)  # or else the first worker is done before the second one starts

    out = finished(start(*arguments, *ON_RAY[:2], "--results", str(file)))

    assert out == expected
    assert samples(file) == samples(alone_file)
    assert min(len(one.told()["asked"]) for one in mortals) > QUESTIONS


NODES = """
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster

from forethought.evaluation.compare import evaluate
from forethought.evaluation.ray_workers import RayCluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
seen = []

def progress(at):
    seen.append(at.done)
    if at.asked == 4:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        cluster.add_node(num_cpus=1)

recipes, tasks, model, file = json.loads(sys.argv[1])
evaluate(
    recipes, tasks, model, keeps=[330], results=Path(file), progress=progress,
    ray=RayCluster(cluster.address, threads=1),
)
print(json.dumps(seen))
"""


def test_a_node_that_dies_loses_nothing(model, environment, whole, tmp_path):
    file = tmp_path / "r.sqlite"
    asked = [RECIPES[:3], TASKS[1::2], str(model), str(file)]
    run = subprocess.run(
        [sys.executable, "-c", NODES, json.dumps(asked)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == list(range(TOTAL + 1))
    assert samples(file) == whole[1]
