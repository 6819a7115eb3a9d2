"""Sizes and budgets as people write them."""

from __future__ import annotations

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Budget, Whole, bytes_of


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7B", 7),
        ("500kB", 500_000),
        ("8MiB", 8 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("2TB", 2 * 10**12),
        ("1TiB", 2**40),
    ],
)
def test_a_size_is_read_in_its_unit(text, size):
    assert bytes_of(text) == size
    assert not Budget().problem(text)


@pytest.mark.parametrize("text", ["8", "8 MiB", "8mib", "-1MiB", "0MiB", "MiB"])
def test_what_is_no_size_is_said(text):
    assert Budget().problem(text).endswith("or bytes such as 8MiB")


def test_a_count_beyond_all_is_told_its_limit():
    assert Whole(1, 1 << 20).problem(1 << 21) == "must be 1,048,576 or less"
    assert Whole(1, 1 << 20).problem(0) == "must be 1 or more"
    assert Whole(1, 64).problem(65) == "must be 1 to 64"


def test_a_step_ends_with_some_text():
    assert "delimiter='' must be a text that is not empty" in problem_of(
        "spec-reason(delimiter='')"
    )
    assert not problem_of("spec-reason(delimiter='x')")


def problem_of(spelling):
    try:
        catalogue.build(spelling, "strategies")
    except BadParameterError as error:
        return error.message
    return ""
