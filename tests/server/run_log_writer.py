"""Records runs without end and prints the id of each one once `record` has returned."""

import sys
import uuid

from forethought.contracts.records import Event
from forethought.storage.run_log import RunLog, ServedRun
from tests.server.page import recordings


def made(name: str, number: int, identifier: str = "") -> ServedRun:
    """A recorded run under another id and question."""
    events: tuple[Event, ...] = recordings.events(name)
    return ServedRun(identifier or f"chatcmpl-{uuid.uuid4()}", float(number), events, f"q{number}")


if __name__ == "__main__":
    with_log = RunLog.open(sys.argv[1])
    for number in range(100_000):
        run = made("specpc", number)
        with_log.record(run)
        print(run.id, flush=True)
