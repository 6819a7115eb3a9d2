"""Workers of an evaluation as actors of a Ray cluster.

Ray is imported when a cluster is opened. Actors get and return texts of JSON; Ray's own transport
carries them.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TextIO, cast

from forethought.contracts.errors import ClusterError, UsageError
from forethought.cost.prices import Price
from forethought.evaluation.ray_cells import HERE, WorkerEvent
from forethought.evaluation.ray_records import WorkerSettings
from forethought.evaluation.ray_worker import CellWorker

AUTO, LOCAL = "auto", "local"
_CORES = 4
"""Cores of an engine on a CPU; decode is bound by memory, so more help little."""
_STORE_BYTES = 128 << 20
"""Bytes of the object store of a cluster that starts here; reports are small."""
_CONNECT_SECONDS = 10.0
_PATIENCE = 180.0
"""Seconds to wait for the first worker."""
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
"""No usage report, and no repeated log line that another thread prints at the end."""
_CAUSE = re.compile(r"(\w+\.)*\w*(Error|Exception): ")
_RAY_THREAD = "ray_"
"""Prefix of the names of Ray's own threads."""


@dataclass(frozen=True)
class RayCluster:
    """The cluster that a user names."""

    address: str
    """HOST:PORT; `auto` for the cluster of this machine, or a new one; `local` for a new one."""
    actors: int | None = None
    """Engines of local models; None for as many as the cluster holds."""
    threads: int | None = None
    """Threads of each engine."""

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise UsageError(
                f"--ray {self.address}: Ray Client cannot stream answers",
                "run on a machine of the cluster, with --ray auto",
            )

    @contextmanager
    def opened(self, prices: Mapping[str, Price]) -> Iterator[RayWorkers]:
        """Connect to the cluster, or start it; at the end all workers are gone."""
        ray = _imported()
        with _quiet():
            mine = not ray.is_initialized()
            if mine:
                _connect(ray, self.address)
            try:
                nodes = [one["Resources"] for one in ray.nodes() if one["Alive"]]
                workers = RayWorkers(ray, engine_share(nodes, self.actors, self.threads), prices)
                with closing(workers):
                    yield workers
            finally:
                if mine:
                    ray.shutdown()


@dataclass(frozen=True)
class EngineShare:
    """The resources of one engine, and the number of engines."""

    engines: int
    cores: float
    gpus: float
    threads: int


@dataclass
class RayWorkers:
    """Actors of a cluster; see `Workers`."""

    ray: Any
    share: EngineShare
    prices: Mapping[str, Price]
    patience: float = _PATIENCE
    _actors: dict[int, Any] = field(default_factory=dict)
    _starting: dict[Any, int] = field(default_factory=dict)
    """The worker of each pending start."""
    _streams: dict[Any, int] = field(default_factory=dict)
    """The worker of each stream of reports."""
    _started: int = 0

    @property
    def engines(self) -> int:
        """The number of engines."""
        return self.share.engines

    @property
    def accelerated(self) -> bool:
        """Whether each engine has a GPU."""
        return self.share.gpus > 0

    def start(self, place: str) -> int:
        """Start an actor on any node that has room."""
        share = self.share
        settings = WorkerSettings(version("forethought"), place, share.threads, self.prices)
        actor = self.ray.remote(CellWorker).options(
            num_cpus=share.cores if place == HERE else 0,
            num_gpus=share.gpus if place == HERE else 0,
            max_concurrency=2,  # `tell` runs beside `answer`
            max_restarts=0,  # the cell is submitted again, to any worker
            scheduling_strategy="SPREAD",
        )
        self._started += 1
        worker = self._started
        self._actors[worker] = actor.remote(settings.text())
        self._starting[self._actors[worker].ready.remote()] = worker
        return worker

    def submit(self, worker: int, cell: str) -> None:
        """Give an actor a cell."""
        self._streams[self._actors[worker].answer.remote(cell)] = worker

    def tell(self, worker: int, reply: str) -> None:
        """Answer an actor's lookup."""
        self._actors[worker].tell.remote(reply)

    def events(self) -> list[WorkerEvent]:
        """Wait for the next news; raises ClusterError if no actor starts in time."""
        pending = [*self._streams, *self._starting]
        while True:
            ready, _ = self.ray.wait(pending, num_returns=1, timeout=self.patience)
            if ready:
                return [self._event(ready[0])]
            if not self._streams:
                raise ClusterError(
                    f"no worker started in {self.patience:.0f} s",
                    "the cluster may be full: see `ray status`, or give fewer --ray-actors",
                )

    def close(self) -> None:
        """Kill all actors; their state is worth nothing."""
        for worker in list(self._actors):
            self._kill(worker)

    def _event(self, source: Any) -> WorkerEvent:
        if source in self._starting:
            worker = self._starting.pop(source)
            return self._received(worker, source, "ready")
        worker = self._streams.pop(source)
        try:
            item = next(source)
        except StopIteration:
            return WorkerEvent(worker, "end")
        event = self._received(worker, item, "reports")
        # At the back, so that streams take turns.
        self._streams |= {} if event.kind == "lost" else {source: worker}
        return event

    def _received(self, worker: int, item: Any, kind: Any) -> WorkerEvent:
        try:
            return WorkerEvent(worker, kind, str(self.ray.get(item)))
        except self.ray.exceptions.RayError as error:
            self._kill(worker)
            return WorkerEvent(worker, "lost", _reason(error))

    def _kill(self, worker: int) -> None:
        with suppress(Exception):  # Ray raises bare exceptions for actors that are gone
            self.ray.kill(self._actors.pop(worker))


def _imported() -> Any:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UsageError(
            "--ray needs the package ray", "install it: pip install '.[ray]' in a checkout"
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == AUTO:
        with suppress(ConnectionError):  # no cluster runs on this machine
            ray.init(address=AUTO, **quiet)
            return
    fresh = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    settings = fresh if address in (AUTO, LOCAL) else {}
    try:
        if not settings:
            _check_listening(address)
        ray.init(address=LOCAL if address == AUTO else address, **settings, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster can be used at {address}: {_reason(error)}",
            "start one: ray start --head, or give --ray local",
        ) from error


def _check_listening(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("write it HOST:PORT")
    socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


def engine_share(
    nodes: Sequence[Mapping[str, float]], actors: int | None, threads: int | None
) -> EngineShare:
    """Divide the nodes' resources among engines: one per GPU, or else one per few cores."""
    gpus = int(sum(one.get("GPU", 0) for one in nodes))
    if gpus:
        engines = actors or gpus
        return EngineShare(engines, 0, min(1.0, gpus / engines), threads or 1)
    cores = [int(one.get("CPU", 0)) for one in nodes]
    total = max(1, sum(cores))
    wanted = threads or (_CORES if actors is None else max(1, total // actors))
    each = max(1, min(wanted, max(cores, default=1)))
    engines = actors or max(1, sum(count // each for count in cores))
    return EngineShare(engines, min(each, total / engines), 0, threads or each)


def _reason(error: BaseException) -> str:
    """The line of an error's text that names its cause, or the first one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if _CAUSE.match(line)]
    return (causes[-1:] or lines or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what Ray's threads print to standard output; Ray's log files hold it too."""
    screen = sys.stdout
    sys.stdout = cast(TextIO, _OwnThreads(screen))
    try:
        yield
    finally:
        sys.stdout = screen


class _OwnThreads:
    """A stream that ignores the writes of Ray's threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text of any other thread."""
        if threading.current_thread().name.startswith(_RAY_THREAD):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
