"""The view of a comparison: names, families and axes of its page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from forethought.contracts.comparison import Comparison
from forethought.reports import figures
from forethought.reports.figures import Axis
from forethought.reports.names import Names, labels, method, task_names


@dataclass(frozen=True)
class ComparisonView:
    """A comparison with the names, families and axes of its page."""

    comparison: Comparison
    timing: bool = True

    @cached_property
    def recipes(self) -> Names:
        """Short names of recipes, and their shared parts."""
        return figures.named(self.comparison)

    @cached_property
    def tasks(self) -> Names:
        """Short names of tasks, and their shared settings."""
        return task_names(self.comparison.tasks)

    @property
    def names(self) -> tuple[str, ...]:
        """Short names of recipes."""
        return self.recipes.short

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of recipes in a chart."""
        return labels(self.names)

    @cached_property
    def family_names(self) -> list[str]:
        """Families: recipes without their numbers, in order of appearance."""
        return list(dict.fromkeys(map(_family, self.names)))

    @cached_property
    def families(self) -> list[int]:
        """Index of each recipe's family."""
        return [self.family_names.index(_family(name)) for name in self.names]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of cost."""
        return figures.axes(self.comparison, self.timing)


def _family(name: str) -> str:
    return method(name.removesuffix(figures.COUNTED))
