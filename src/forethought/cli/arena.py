"""Common code of `evaluate` and `compare`: recipes, tasks, results file and progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought import catalogue
from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.interruption import exits_at_once
from forethought.cli.recipes import described_alone
from forethought.cli.terminal import redraw, write
from forethought.cli.torch_start import start_torch
from forethought.contracts.comparison import Comparison
from forethought.contracts.errors import BadParameterError, ClusterError, RemoteError, UsageError
from forethought.contracts.parameters import Amount, Range
from forethought.contracts.questions import Task
from forethought.cost.prices import Price, prices_of
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.storage.location import results_file

if TYPE_CHECKING:
    from forethought.evaluation.judged_ranking import JudgedSettings


@dataclass(frozen=True)
class Arena:
    """Recipes, tasks and the results file of a comparison."""

    recipes: Sequence[Recipe]
    tasks: Mapping[str, Task]
    prices: Mapping[str, Price]
    results: Path
    samples: int
    threads: int | None
    ray: str | None
    actors: int | None
    quiet: bool
    level: float
    """The confidence from which an answer counts as given."""
    inspect_logs: Path | None = None
    """Where logs of inspect-ai go."""
    holdout: bool = False
    labels: int | None = None
    """Questions whose gold score a ranking by judges may use; None for no such ranking."""
    levels: int = 2

    def run(self, *, searches: bool = False) -> Comparison:
        """Run the missing samples and compare; `searches` also compares the candidates."""
        with exits_at_once(self._stopped()):
            start_torch(self.threads)
            from forethought.evaluation.compare import measured
            from forethought.evaluation.ray_workers import RayCluster

        ray = None if self.ray is None else RayCluster(self.ray, self.actors, self.threads)
        bar = Bar(quiet=self.quiet)
        try:
            found = measured(
                self.recipes,
                self.tasks,
                self.results,
                self.samples,
                lambda at: bar.show(at.done, at.asked, at.total),
                self.prices,
                searches,
                ray,
                self.holdout,
                self._judged(),
                self.level,
            )
        except KeyboardInterrupt:
            bar.close()
            write(sys.stderr, self._stopped())
            raise
        except (ClusterError, RemoteError) as error:
            kept = f"what was answered is kept in {self.results}: the same line goes on from there"
            error.hint = "; ".join(part for part in (error.hint, kept) if part)
            raise
        finally:
            bar.close()
        for name, task in self.tasks.items():
            for note in getattr(task, "notes", list)():
                write(sys.stderr, f"note: {name}: {note}\n")
        if self.inspect_logs is not None:
            self._write_inspect_logs(self.inspect_logs)
        return found

    def _stopped(self) -> str:
        """What an interrupted comparison says."""
        return (
            f"stopped: all finished answers are in {self.results}\n"
            "\nhint: run the same line again to resume\n"
        )

    def _judged(self) -> JudgedSettings | None:
        # Imported late: its module needs numpy.
        from forethought.evaluation.judged_ranking import JudgedSettings

        return None if self.labels is None else JudgedSettings(self.labels, self.levels)

    def _write_inspect_logs(self, folder: Path) -> None:
        from forethought.adapters.inspect_log import write_inspect_logs
        from forethought.evaluation.stored_answers import stored_answers

        asked = self.recipes, self.tasks, self.results, self.samples, self.prices
        try:
            files = write_inspect_logs(stored_answers(*asked), folder)
        except OSError as error:
            raise UsageError(
                f"cannot write logs to {folder}: {error.strerror}", "name another folder"
            ) from error
        write(sys.stderr, f"{len(files)} logs are in {folder}: inspect view --log-dir {folder}\n")


def arena(names: Sequence[str], given: Given) -> Arena:
    """The comparison that a command line describes, for recipes of these names."""
    if not given[options.TASKS]:
        raise UsageError("there is no task", "name one with -t; see: forethought list tasks")
    built: dict[str, Task] = {}
    for text in given[options.TASKS]:
        built |= catalogue.expand(text)
    asked = {"skip_bad": True} if given[options.SKIP_BAD] else {}
    asked |= _sandbox(given[options.SANDBOX])
    built = {name: _having(task, asked) for name, task in built.items()}
    results = given[options.RESULTS]
    return Arena(
        recipes=recipe_grid(
            names,
            described_alone(given),
            list(map(_budget, given[options.KEEPS])),
            as_published=given[options.AS_PUBLISHED],
        ),
        tasks={catalogue.spelled_open(task): task for task in built.values()},
        prices=prices_of(given[options.PRICES]),
        results=results_file() if results is None else Path(results).expanduser(),
        samples=given[options.ANSWERS],
        threads=given[options.THREADS],
        ray=given[options.RAY],
        actors=_engines(given),
        quiet=given[options.QUIET],
        level=_level(given[options.ABSTAIN_LEVEL]),
        inspect_logs=_inspect_logs(given[options.INSPECT_LOGS]),
        holdout=given[options.HOLDOUT],
        labels=given[options.JUDGED],
        levels=_levels(given),
    )


def _levels(given: Given) -> int:
    """Levels of a verdict; UsageError if nothing is judged."""
    levels: int = given[options.LEVELS]
    if given[options.JUDGED] is None and levels != options.LEVELS.default:
        raise UsageError("--levels are those of --judged", "add: --judged 0")
    return levels


def _level(value: float) -> float:
    if problem := Range(0, 1).problem(value):
        raise BadParameterError(f"--abstain-below {value!r} {problem}", "give a share such as 0.6")
    return value


def _engines(given: Given) -> int | None:
    """The number of engines on the cluster; None if the cluster's resources say it."""
    actors = given[options.RAY_ACTORS]
    if actors is not None and given[options.RAY] is None:
        raise UsageError("--ray-actors needs a cluster", "add --ray auto")
    return actors


def check_whole(found: Comparison) -> None:
    """Raise UsageError if the report leaves out recipes."""
    if found.refusals:
        told = "\n".join(f"{one.question}: {one.reason}" for one in found.refusals)
        raise UsageError(
            f"recipes are left out, since a question does not fit them:\n{told}",
            f"{found.refusals[0].hint}; the answers of the other recipes are stored",
        )


def _inspect_logs(folder: str | None) -> Path | None:
    """The folder for logs of inspect-ai; raises UsageError if they could not be written."""
    if folder is None:
        return None
    if find_spec("inspect_ai") is None:
        raise UsageError(
            "--inspect-logs needs the package inspect-ai", "install it: pip install inspect-ai"
        )
    path = Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is no folder", "name a folder for --inspect-logs")
    return path


def _sandbox(text: str) -> dict[str, Any]:
    """The sandbox setting for tasks that run programs; empty to keep that of the spelling."""
    if text not in ("available", "strict"):
        raise BadParameterError(
            f"--sandbox {text!r} must be strict or available",
            "available uses the isolation layers that this system has",
        )
    return {"sandbox": text} if text == "strict" else {}


def _having(task: Any, settings: Mapping[str, Any]) -> Any:
    """The task with these settings; fields that it lacks are ignored."""
    names = {item.name for item in fields(task)}
    return replace(task, **{name: one for name, one in settings.items() if name in names})


def _budget(text: str) -> Amount:
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        return float(text)
    return text


class Bar:
    """A progress bar on a terminal, with speed and remaining time."""

    def __init__(self, *, quiet: bool, clock: Any = time.monotonic) -> None:
        self._silent = quiet or not sys.stderr.isatty()
        self._clock = clock
        self._start = clock()

    def show(self, done: int, asked: int, total: int) -> None:
        """Redraw the bar."""
        if not self._silent:
            redraw(sys.stderr, bar_line(done, asked, total, self._clock() - self._start))

    def close(self) -> None:
        """Clear the bar."""
        if not self._silent:
            redraw(sys.stderr, "")


def bar_line(done: int, asked: int, total: int, seconds: float) -> str:
    """The text of the bar."""
    cells = 24 * done // max(total, 1)
    line = f"{'█' * cells}{'░' * (24 - cells)} {done:,} of {total:,}"
    if not asked or seconds <= 0:
        return line
    left = (total - done) * seconds / asked
    return f"{line} · {asked / seconds:.2g}/s · {duration(left)} left"


def duration(seconds: float) -> str:
    """A duration in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
