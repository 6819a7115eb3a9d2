"""Sizes and budgets as people write them."""

from __future__ import annotations

import pytest

from forethought.contracts.parameters import Budget, bytes_of


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
    assert Budget().problem(text) == "must be like 8MiB"
