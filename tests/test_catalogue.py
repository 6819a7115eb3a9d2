import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.catalogue import MethodFile, Parameter
from forethought.contracts.errors import (
    BadParameterError,
    DamagedFileError,
    UnknownNameError,
    UsageError,
)
from forethought.contracts.parameters import Keep, settings_of
from forethought.contracts.questions import Task

METHOD = '''"""Keep what shines, drop the rest.

Paper: A study of shining,
    arXiv:0000.00000
Exact: at keep=1.0.
Cost: none.

More on this: elsewhere.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from forethought.contracts.parameters import Count, Keep, Odd, Range, Whole

Pool = Literal["max", "mean"]


@dataclass(frozen=True)
class _Score:
    value: int = 0


@dataclass(frozen=True)
class Shine:
    """Shines."""

    keep: Keep = 512
    """Entries kept,
    at most."""
    window: Count | None = None
    pool: Pool = "max"
    """How."""
    size: Annotated[int, Whole(1, 2 << 3)] = 1 << 2
    warmth: Annotated[float, Range(-1, 2.5)] = 0.5
    sides: Annotated[int, Odd(3, 9)] | None = None
'''


@pytest.fixture
def place(tmp_path: Path) -> MethodFile:
    family = tmp_path / "cache_care"
    family.mkdir()
    (family / "shine_on.py").write_text(METHOD)
    (family / "_shared.py").write_text("class One: ...\nclass Two: ...\n")
    (family / "__init__.py").write_text("")
    return MethodFile("acme.methods", tmp_path)


def test_a_file_is_a_method_with_its_record_and_parameters(place: MethodFile) -> None:
    entry = catalogue.catalogued([place])["shine-on"]

    assert entry.family == "cache-care"
    assert entry.module == "acme.methods.cache_care.shine_on"
    assert entry.class_name == "Shine"
    assert entry.summary == "Keep what shines, drop the rest."
    assert entry.notes == {
        "Paper": "A study of shining, arXiv:0000.00000",
        "Exact": "at keep=1.0.",
        "Cost": "none.",
    }
    assert METHOD.splitlines()[entry.line - 1] == "class Shine:"
    assert entry.parameters == (
        Parameter(
            "keep",
            "a whole number, a share such as 0.25, or bytes such as 8MiB",
            "512",
            "Entries kept, at most.",
        ),
        Parameter("window", "a whole number, 1 or more, or none", "none", ""),
        Parameter("pool", "max or mean", "max", "How."),
        Parameter("size", "a whole number", "1 << 2", ""),
        Parameter("warmth", "a number, -1 to 2.5", "0.5", ""),
        Parameter("sides", "an odd number, 3 to 9, or none", "none", ""),
    )


def test_files_that_start_with_an_underscore_are_no_methods(place: MethodFile) -> None:
    assert list(catalogue.catalogued([place])) == ["shine-on"]


def test_two_methods_of_one_name_are_refused(place: MethodFile) -> None:
    with pytest.raises(UsageError, match="two methods are called 'shine-on'"):
        catalogue.catalogued([place, place])


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("class One: ...\nclass Two: ...\n", "has 2 public classes"),
        ('"""Nothing."""', "has 0 public classes"),
        ("class Half(", "is not readable as Python"),
    ],
)
def test_a_file_that_is_no_method_is_named(place: MethodFile, source: str, problem: str) -> None:
    (place.folder / "cache_care" / "odd.py").write_text(source)

    with pytest.raises(DamagedFileError, match=rf"odd\.py {problem}"):
        catalogue.catalogued([place])


def test_every_method_of_ours_has_its_record_and_builds_with_its_defaults() -> None:
    for name, entry in catalogue.entries().items():
        assert set(entry.notes) - {"Example"} == {"Paper", "Published", "Exact", "Cost"}, name
        assert entry.summary.endswith("."), name
        assert all(parameter.help for parameter in entry.parameters), name
        assert catalogue.spelled(catalogue.build(name)) == name


@pytest.mark.parametrize("kind", ["methods", "strategies", "scorers", "tasks"])
def test_what_a_parameter_may_be_is_said_in_words(kind: catalogue.Kind) -> None:
    for name, entry in catalogue.entries(kind).items():
        for parameter in entry.parameters:
            assert not set("[]()") & set(parameter.limits), (name, parameter)
            assert not parameter.limits[:1].isupper(), (name, parameter)


@pytest.mark.parametrize("kind", ["methods", "strategies", "scorers", "tasks"])
def test_parameters_are_listed_in_the_order_of_spellings(kind: catalogue.Kind) -> None:
    for name, entry in catalogue.entries(kind).items():
        built = [setting.name for setting in settings_of(entry.load())]
        assert [parameter.name for parameter in entry.parameters] == built, name


def test_every_task_of_ours_says_what_it_cannot_do() -> None:
    for name, entry in catalogue.entries("tasks").items():
        assert Task in entry.load().__mro__, name


def test_every_task_of_ours_has_its_record() -> None:
    for name, entry in catalogue.entries("tasks").items():
        assert set(entry.notes) == {"Paper", "Score"}, name
        assert entry.summary.endswith("."), name
        assert all(parameter.help for parameter in entry.parameters), name


def test_every_task_that_needs_nothing_builds_with_its_defaults() -> None:
    for name, task in catalogue.expand("ruler").items():
        assert "(" not in name
        assert catalogue.spelled(task) == name


def test_a_spelling_builds_the_method() -> None:
    method = catalogue.build("specpc(keep=0.5, reduction=mean)")

    assert (method.keep, method.reduction) == (0.5, "mean")


def test_underscores_and_capitals_find_a_method_too() -> None:
    assert catalogue.find("SpecKV_PC").name == "speckv-pc"


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalogue.find("snap-kv")

    assert caught.value.message == "no method is called 'snap-kv'"
    assert "snapkv" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["specpc(keep=0)", "specpc(keep=1.5)", "specpc(window=0.5)", "specpc(depth=1)"]
)
def test_a_value_outside_its_limits_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError):
        catalogue.build(text)


def test_only_what_differs_from_the_defaults_is_spelled() -> None:
    assert catalogue.spelled(catalogue.build("specpc(pool='max', keep=512)")) == "specpc(keep=512)"


@dataclass(frozen=True)
class KeepOne:
    keep: Keep = 1


def test_one_entry_and_a_share_of_one_are_spelled_apart() -> None:
    assert catalogue.spelled(KeepOne(1)) == "test-catalogue"
    assert catalogue.spelled(KeepOne(1.0)) == "test-catalogue(keep=1.0)"


@pytest.fixture
def installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, dict[str, str]], None]]:
    """Installs a package for the length of a test: its kind, and its files under that folder."""

    def install(kind: str, sources: dict[str, str]) -> None:
        name = f"acme_{tmp_path.name}"
        for path, source in sources.items():
            file = tmp_path / name / kind / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        record = tmp_path / f"{name}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (record / "entry_points.txt").write_text(f"[forethought.{kind}]\nacme = {name}.{kind}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        catalogue.in_folder.cache_clear()

    yield install
    catalogue.in_folder.cache_clear()


def test_an_installed_package_joins_by_its_entry_point(
    installed: Callable[[str, dict[str, str]], None],
) -> None:
    raising = "raise RuntimeError('imported')"
    installed("methods", {"cache_care/shine_on.py": METHOD, "../__init__.py": raising})

    entry = catalogue.find("shine-on")

    assert entry.module.endswith(".methods.cache_care.shine_on")


BASE = """from dataclasses import KW_ONLY, dataclass

from forethought.contracts.parameters import Count, Keep

Size = Count


@dataclass(frozen=True)
class Glow:
    keep: Keep = 512
    '''Entries.'''
    _: KW_ONLY
    last: bool = True
    '''Last of all.'''


@dataclass(frozen=True)
class Glimmer(Glow):
    width: Size = 3
    '''How wide.'''
    _: KW_ONLY
    again: bool = False
    '''Again.'''
"""
DERIVED = '''"""Shine on."""

from dataclasses import dataclass

from {base} import Glimmer as Shining


@dataclass(frozen=True)
class Shine(Shining):
    """Shines."""

    own: int = 1
    """Its own."""
    keep: int = 8
    """Another default."""
'''


@pytest.mark.parametrize("absolute", [False, True])
def test_parameters_of_a_base_class_are_listed_without_importing_it(
    installed: Callable[[str, dict[str, str]], None], tmp_path: Path, absolute: bool
) -> None:
    base = f"acme_{tmp_path.name}.methods.cache_care._glow" if absolute else "._glow"
    files = {"cache_care/_glow.py": BASE, "cache_care/shine_on.py": DERIVED.format(base=base)}
    installed("methods", {**files, "../__init__.py": "", "cache_care/__init__.py": ""})

    entry = catalogue.find("shine-on")

    assert entry.parameters == (
        Parameter("width", "a whole number, 1 or more", "3", "How wide."),
        Parameter("own", "a whole number", "1", "Its own."),
        Parameter("keep", "a whole number", "8", "Another default."),
        Parameter("again", "true or false", "false", "Again."),
        Parameter("last", "true or false", "true", "Last of all."),
    )
    assert entry.module not in sys.modules
    method = catalogue.build("shine-on(last=false, keep=2, width=4, again=true)")
    assert catalogue.spelled(method) == "shine-on(width=4, keep=2, again=true, last=false)"


QUIZ = '''"""Ask."""

from dataclasses import dataclass

from forethought.contracts.parameters import Count


@dataclass(frozen=True)
class Quiz:
    """Asks."""

    {required}
    tokens: Count = 2000
    """How long."""
'''


def test_the_name_of_a_family_stands_for_all_its_tasks(
    installed: Callable[[str, dict[str, str]], None],
) -> None:
    source = QUIZ.format(required="")
    installed("tasks", {"pub_quiz/easy_one.py": source, "pub_quiz/hard_one.py": source})

    expanded = catalogue.expand("Pub_Quiz(tokens=300)")

    assert list(expanded) == ["easy-one(tokens=300)", "hard-one(tokens=300)"]
    assert [task.tokens for task in expanded.values()] == [300, 300]
    assert list(catalogue.expand("hard_one(tokens=2000)")) == ["hard-one"]
    assert "pub-quiz" in catalogue.families("tasks")


def test_a_task_is_no_method_and_a_method_is_no_task(
    installed: Callable[[str, dict[str, str]], None],
) -> None:
    installed("tasks", {"pub_quiz/easy_one.py": QUIZ.format(required="")})

    assert catalogue.build("easy-one", "tasks").tokens == 2000
    with pytest.raises(UnknownNameError, match="no method is called 'easy-one'"):
        catalogue.build("easy-one")
    with pytest.raises(UnknownNameError, match="no task is called 'snapkv'"):
        catalogue.find("snapkv", "tasks")


def test_an_unknown_task_is_told_of_families_too(
    installed: Callable[[str, dict[str, str]], None],
) -> None:
    installed("tasks", {"pub_quiz/easy_one.py": QUIZ.format(required="")})

    with pytest.raises(UnknownNameError, match="no task is called 'pubquiz'") as caught:
        catalogue.expand("pubquiz")

    assert "pub-quiz" in caught.value.hint


def test_a_parameter_without_a_default_is_asked_for(
    installed: Callable[[str, dict[str, str]], None],
) -> None:
    required = 'path: str\n    """A file of questions."""'
    installed("tasks", {"pub_quiz/easy_one.py": QUIZ.format(required=required)})

    with pytest.raises(BadParameterError, match="easy-one needs path: A file of questions"):
        catalogue.build("easy-one", "tasks")

    assert list(catalogue.expand("easy-one(path='a b.jsonl')")) == ["easy-one(path='a b.jsonl')"]


def test_listing_imports_neither_methods_nor_heavy_libraries() -> None:
    code = (
        "import sys; from forethought import catalogue; assert catalogue.entries();"
        "assert isinstance(catalogue.entries('tasks'), dict);"
        "heavy = {'torch', 'numpy', 'transformers'} & set(sys.modules);"
        "ours = ('forethought.methods', 'forethought.tasks');"
        "print(sorted(heavy), [m for m in sys.modules if m.startswith(ours)])"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[] []"
