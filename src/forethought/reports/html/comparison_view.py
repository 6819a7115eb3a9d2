"""A comparison with the names, families and axes that its page shows it with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from forethought.contracts.comparison import Comparison
from forethought.reports import figures
from forethought.reports.figures import Axis
from forethought.reports.names import Names, labels, method, task_names


@dataclass(frozen=True)
class ComparisonView:
    """A comparison with the names, families and axes it is shown with."""

    comparison: Comparison
    timing: bool = True

    @cached_property
    def recipes(self) -> Names:
        """Short names of recipes, and what they share."""
        return figures.named(self.comparison)

    @cached_property
    def tasks(self) -> Names:
        """Short names of tasks, and what they share."""
        return task_names(self.comparison.tasks)

    @property
    def names(self) -> tuple[str, ...]:
        """Short names of recipes."""
        return self.recipes.short

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of recipes for a chart."""
        return labels(self.names)

    @cached_property
    def family_names(self) -> list[str]:
        """Recipes without their numbers, in order of appearance."""
        return list(dict.fromkeys(map(_family, self.names)))

    @cached_property
    def families(self) -> list[int]:
        """For each recipe, the index of its family."""
        return [self.family_names.index(_family(name)) for name in self.names]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The kinds of cost shown."""
        return figures.axes(self.comparison, self.timing)


def _family(name: str) -> str:
    return method(name.removesuffix(figures.COUNTED))
