"""Reading of files named by the user, with typed errors."""

from __future__ import annotations

from pathlib import Path

from forethought.contracts.errors import BadDataError


def content_of(path: str, hint: str, called: str = "") -> bytes:
    """The bytes of a regular file; BadDataError for anything else, since a pipe may never end."""
    name = called or path
    try:
        file = Path(path).expanduser()
        if file.exists() and not file.is_file():
            raise BadDataError(f"{name} is not a file", hint)
        return file.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadDataError(f"{name} cannot be read: {reason}", hint) from error
