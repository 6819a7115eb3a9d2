"""A run of many searches on a toy law that keeps all it is given; to be killed by a test.

python tests/runs/killed_search.py FILE QUESTIONS N: prints what was found, line by line.
"""

import sys
import time

from forethought.methods.search.majority_vote import MajorityVote
from forethought.models.known import Known
from forethought.runs.drive import Drive
from forethought.runs.store import Store
from tests.runs.searches import job, three_steps


def main(file: str, questions: str, n: str) -> None:
    class Slow(Known):
        def poll(self, until=None):
            time.sleep(0.0005)
            return super().poll(until)

    jobs = [
        job(MajorityVote(n=int(n)), run=f"run {seed}", seed=seed) for seed in range(int(questions))
    ]
    with Store.open(file) as store:
        found = {}
        backend = Slow(three_steps, delay=lambda key: 1.0 + int(key[:4], 16) / 65536)
        for done in Drive(backend, store.journal()).run(jobs):
            texts = [one.text for one in done.found.considered]
            found[done.job.run] = (texts, done.found.confidence, done.cost)
    for name in sorted(found):
        print(name, found[name])
    print("asked", len(backend.asked), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
