"""The names by which recipes call methods and tasks: those of their files."""

from __future__ import annotations


def plain_name(file_name: str) -> str:
    """The name that a file stem stands for: `ada_snapkv` is `ada-snapkv`.

    A trailing underscore, which sets a stem apart from a Python keyword, is dropped.
    """
    return file_name.rstrip("_").replace("_", "-")


def method_name(method: type) -> str:
    """The name of a method or task: that of the file which defines its class."""
    return plain_name(method.__module__.rpartition(".")[2])
