"""Calls into the tokenizers library, whose failures become errors of ours.

The library raises nothing narrower than Exception. Where it gives up inside, as its regular
expressions do after too many steps, it raises a BaseException of a class that cannot be named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forethought.contracts.errors import DamagedFileError, ForethoughtError

_PANIC = "PanicException"
_LONGEST = 200  # characters of its message


@contextmanager
def library_errors(what: str, hint: str) -> Iterator[None]:
    """Raise what the library raises inside as DamagedFileError: `what`, then why."""
    try:
        yield
    except ForethoughtError:
        raise
    except Exception as error:
        raise _damaged(what, hint, error) from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        # Without the cause: its text is the library's own stack, and nothing to act on.
        raise _damaged(what, hint, error) from None


def _damaged(what: str, hint: str, error: BaseException) -> DamagedFileError:
    return DamagedFileError(f"{what}: {str(error)[:_LONGEST]}", hint)
