"""Verdicts and times of two sandboxes on HumanEval's own solutions and on broken ones.

    python benchmarks/sandbox.py humaneval.jsonl --other ../before/src [--rounds 5]

`--other` is the `src` folder of another checkout. Both judge the same answer in turn, in processes
that stay, so that they see the machine in the same states; figures are over programs, each the
median of its rounds. Ends with 1 where a verdict differs or a right program fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

JUDGE = """
import json, sys, time
from forethought import catalogue
task = catalogue.build(f"humaneval(path={json.dumps(sys.argv[1])})", "tasks")
questions = {one.identifier: one for one in task.questions(len)}
for line in sys.stdin:
    identifier, answer = json.loads(line)
    start = time.perf_counter()
    score = task.check(questions[identifier], answer)
    print(json.dumps([time.perf_counter() - start, score]), flush=True)
"""
BROKEN = {
    "returns None": "    return None\n",
    "raises": "    raise ValueError('no')\n",
    "is no Python": "    return (\n",
    "leaves": "    import os\n    os._exit(0)\n",
}


class Judge:
    """The sandbox of one checkout, in a process of its own."""

    def __init__(self, source: str, path: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", JUDGE, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": source, "PATH": "/usr/bin:/bin"},
        )

    def __call__(self, identifier: str, answer: str) -> tuple[float, float]:
        """Seconds and score."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([identifier, answer]) + "\n")
        self._process.stdin.flush()
        seconds, score = json.loads(self._process.stdout.readline())
        return seconds, score


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--other", help="another checkout's src folder")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sources = {"ours": str(Path(__file__).parents[1] / "src")}
    sources |= {"other": options.other} if options.other else {}
    judges = {name: Judge(source, options.path) for name, source in sources.items()}
    rows = [json.loads(line) for line in Path(options.path).read_text().splitlines()]
    kinds = {"canonical": [(row["task_id"], row["canonical_solution"]) for row in rows]}
    kinds |= {kind: [(row["task_id"], body) for row in rows] for kind, body in BROKEN.items()}
    for judge in judges.values():
        judge(*kinds["canonical"][0])  # what is made once is made
    wrong = [tell(kind, answers, judges, options.rounds) for kind, answers in kinds.items()]
    sys.exit(any(wrong))


def tell(
    kind: str, answers: list[tuple[str, str]], judges: dict[str, Judge], rounds: int
) -> list[str]:
    """Print figures of one kind of answers; the questions whose verdict is not as it should be."""
    measured = {answer[0]: _measured(answer, judges, rounds) for answer in answers}
    right = 1.0 if kind == "canonical" else 0.0
    wrong = [
        f"{name}: {found['scores']}"
        for name, found in measured.items()
        if any(score != right for score in found["scores"])
    ]
    print(f"{kind}: {len(answers)} programs, {len(wrong)} wrong verdicts", *wrong, sep="\n  ")
    for name in judges:
        times = [found[name] for found in measured.values()]
        print(f"  {name}: median {median(times) * 1e3:.1f} ms, sum {sum(times):.2f} s")
    if "other" in judges:
        ratios = sorted(found["ours"] / found["other"] for found in measured.values())
        total = sum(one["ours"] for one in measured.values())
        total /= sum(one["other"] for one in measured.values())
        ninth = ratios[len(ratios) * 9 // 10]
        print(
            f"  ours / other: median {median(ratios):.2f}, 90 % below {ninth:.2f}, "
            f"most {ratios[-1]:.2f}, of sums {total:.2f}"
        )
    return wrong


def _measured(answer: tuple[str, str], judges: dict[str, Judge], rounds: int) -> dict[str, Any]:
    """Median seconds of each judge, and all scores."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in judges}
    for _ in range(rounds):
        for name, judge in judges.items():
            found[name].append(judge(*answer))
    times = {name: median(seconds for seconds, _ in told) for name, told in found.items()}
    return {**times, "scores": [score for told in found.values() for _, score in told]}


if __name__ == "__main__":
    main()
