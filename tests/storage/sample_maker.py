"""Samples to keep, and the program that other processes run to keep them."""

from __future__ import annotations

import sys
from typing import Any

from forethought.contracts.questions import Sample
from forethought.storage.store import Store


def sample(
    number: int = 0,
    *,
    key: str = "",
    recipe: str = "tiny",
    task: str = "sums",
    question: str = "q1",
    score: float = 1.0,
    run: dict[str, Any] | None = None,
) -> Sample:
    return Sample(
        key=key or f"{recipe}/{task}/{question}/{number}",
        recipe=recipe,
        task=task,
        question=question,
        cluster=question,
        number=number,
        score=score,
        run=run or {"answer": "7", "cost": {"flops": 2.5}},
        provenance={"torch": "2.9"},
    )


def write(path: str, writer: str, count: int) -> None:
    """Keep `count` samples of the question `writer` and say so after each."""
    with Store.open(path) as store:
        print("open", flush=True)
        for number in range(count):
            store.put(sample(number, question=writer, run={"answer": "x" * 500}))
            print(number, flush=True)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
