"""API keys: read from the environment and checked before use."""

from __future__ import annotations

import os
from collections.abc import Mapping

from forethought.contracts.errors import BadParameterError

KEY_NAMES = ("FORETHOUGHT_API_KEY", "OPENAI_API_KEY")  # the first that is set wins
JUDGE_KEY = "FORETHOUGHT_JUDGE_KEY"
"""Environment variable with the key for judges."""
_INVISIBLE = "\ufeff\u200b"
"""Invisible characters that copying from editors and web pages adds."""


def key_of(environ: Mapping[str, str] = os.environ, names: tuple[str, ...] = KEY_NAMES) -> str:
    """The first key set in these environment variables; empty if none is."""
    for name in names:
        if key := checked_key(environ.get(name, ""), name):
            return key
    return ""


def checked_key(text: str, name: str = "the key") -> str:
    """The key without surrounding blanks; BadParameterError, without the key, if it is invalid.

    HTTP headers carry visible ASCII only.
    """
    key = text.strip().strip(_INVISIBLE).strip()
    for place, letter in enumerate(key, 1):
        if not "!" <= letter <= "~":
            kind = "a blank or control character" if letter <= " " else "a non-ASCII character"
            raise BadParameterError(
                f"{name} holds {kind} at position {place} of {len(key)}",
                f"set {name} to the key alone: no name, no 'Bearer', no second line",
            )
    return key
