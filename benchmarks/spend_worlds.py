"""Net value a question of spending rules in simulated worlds of verified sampling.

    python -m benchmarks.spend_worlds --worlds 200

Each world has 60 questions; a right answer is worth 60 answers. Answers are drawn until one is
right or the rule stops, and all are charged. A fixed cap is one number for all worlds of a shape;
the best one is chosen in hindsight, on the same worlds. Differences are paired by world.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tests.beliefs.spending_worlds import Stream, best_fixed, ruled
from tests.beliefs.worlds_by_hand import own_prior, three_groups, two_bumps

WORLDS = {"its prior": own_prior, "two bumps": two_bumps, "three groups": three_groups}
HEADS = (
    "worlds",
    "cap 8",
    "cap 64",
    "prior only",
    "online",
    "online + signal",
    "best cap of the shape",
    "best cap of each world",
    "rates known",
    "online - best cap of the shape",
)
WORTH = 60.0
QUESTIONS = 60


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.perf_counter()
    streams = {
        name: Stream.drawn(world, given.worlds, QUESTIONS, given.seed)
        for name, world in WORLDS.items()
    }
    print(f"| {' | '.join(HEADS)} |")
    print("|---" * len(HEADS) + "|")
    for name, stream in streams.items():
        print(row(name, stream))
    print(across(list(streams.values())))
    print(f"\n{time.perf_counter() - start:.0f} s")


def row(name: str, stream: Stream) -> str:
    """One row of the table."""
    cap, fixed = best_fixed(stream, WORTH)
    own = np.stack([stream.net(np.array(k), WORTH).mean(axis=1) for k in range(1, 257)])
    online = ruled(stream, WORTH)
    nets = [
        stream.net(np.array(8), WORTH),
        stream.net(np.array(64), WORTH),
        ruled(stream, WORTH, learns=False),
        online,
        ruled(stream, WORTH, signal=True),
    ]
    cells = [f"{one.mean():.1f}" for one in nets]
    cells += [f"{fixed.mean():.1f} (k = {cap})", f"{own.max(axis=0).mean():.1f}"]
    cells += [f"{stream.informed(WORTH).mean():.1f}", paired(online, fixed)]
    return f"| {name} | {' | '.join(cells)} |"


def across(streams: list[Stream]) -> str:
    """The rule against one cap for all shapes."""
    whole = Stream(*(np.concatenate([getattr(one, field) for one in streams])
                     for field in ("success", "needed", "signal")))  # fmt: skip
    cap, fixed = best_fixed(whole, WORTH)
    online = np.concatenate([ruled(one, WORTH) for one in streams])
    return (f"\nall shapes: online {online.mean():.2f}, best single cap {fixed.mean():.2f} "
            f"(k = {cap}), difference {paired(online, fixed)}")  # fmt: skip


def paired(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The mean difference and its standard error over worlds."""
    gaps = (ours - theirs).mean(axis=1)
    return f"{gaps.mean():+.2f} ± {gaps.std(ddof=1) / len(gaps) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
