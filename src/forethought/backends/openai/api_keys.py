"""API keys: read from the environment, checked before they are used, shown to no one else."""

from __future__ import annotations

import os
from collections.abc import Mapping

from forethought.contracts.errors import BadParameterError

KEY_NAMES = ("FORETHOUGHT_API_KEY", "OPENAI_API_KEY")  # looked at in this order
JUDGE_KEY = "FORETHOUGHT_JUDGE_KEY"
"""Environment variable that may hold the key of judges."""
_INVISIBLE = "\ufeff\u200b"
"""What editors and web pages leave around a key that was copied."""


def key_of(environ: Mapping[str, str] = os.environ, names: tuple[str, ...] = KEY_NAMES) -> str:
    """The first key that is set under one of these names; empty where there is none."""
    for name in names:
        if key := checked_key(environ.get(name, ""), name):
            return key
    return ""


def checked_key(text: str, name: str = "the key") -> str:
    """The key without blanks around it; BadParameterError, which does not show it, if it is none.

    A header carries visible ASCII alone.
    """
    key = text.strip().strip(_INVISIBLE).strip()
    for place, letter in enumerate(key, 1):
        if not "!" <= letter <= "~":
            kind = "a blank or control character" if letter <= " " else "a letter beyond ASCII"
            raise BadParameterError(
                f"{name} holds {kind} at place {place} of {len(key)}, which no key can",
                f"put the key alone into {name}: no name, no 'Bearer', no second line",
            )
    return key
