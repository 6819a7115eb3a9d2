"""A run of many searches on a toy law that keeps all it is given; to be killed by a test.

python tests/driver/killed_search.py FILE QUESTIONS STRATEGY: prints what was found, line by line.
Scores are verdicts.
"""

import sys
import time
import zlib

from forethought import catalogue
from forethought.backends.known import KnownBackend
from forethought.driver.driver import Driver
from forethought.storage.store import Store
from tests.driver.searches import job, three_steps


def opinion(question: str, choices: tuple[str, ...]) -> tuple[float, ...]:
    """A chance that belongs to the question, and what is left of it."""
    yes = zlib.crc32(question.encode()) / 2**32
    return yes, *[(1 - yes) / (len(choices) - 1)] * (len(choices) - 1)


def main(file: str, questions: str, spelled: str) -> None:
    class Slow(KnownBackend):
        def poll(self, until=None):
            time.sleep(0.0005)
            return super().poll(until)

    strategy = catalogue.build(spelled, "strategies")
    scorer = catalogue.build("self-judge", "scorers") if strategy.scores else None
    jobs = [
        job(strategy, scorer=scorer, run=f"run {seed}", seed=seed) for seed in range(int(questions))
    ]
    with Store.open(file) as store:
        found = {}
        backend = Slow(three_steps, opinion, lambda key: 1.0 + int(key[:4], 16) / 65536)
        for done in Driver(backend, store.replay_log()).run(jobs):
            texts = [one.text for one in done.found.considered]
            found[done.job.run] = (texts, done.found.confidence, done.cost)
    for name in sorted(found):
        print(name, found[name])
    print("asked", len(backend.asked), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
