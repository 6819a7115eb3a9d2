import subprocess
import sys

import pytest

import forethought


def test_importing_the_package_brings_nothing_heavy() -> None:
    code = "import sys, forethought; print({'torch', 'numpy', 'typer'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_there_are_at_most_twenty_names_and_each_leads_somewhere() -> None:
    assert len(forethought.__all__) <= 20
    for name in forethought.__all__:
        assert getattr(forethought, name).__name__ == name
        assert name in dir(forethought)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evaluate_all'"):
        forethought.evaluate_all  # noqa: B018
