"""Turns failures of the tokenizers library into the package's errors.

The library raises plain Exceptions. When it panics, as its regular expressions do after too many
steps, it raises a BaseException of an unexported class.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forethought.contracts.errors import DamagedFileError, ForethoughtError

_PANIC = "PanicException"
_LONGEST = 200  # characters of its message


@contextmanager
def library_errors(what: str, hint: str) -> Iterator[None]:
    """Turn the library's exceptions into DamagedFileError: `what`, then the reason."""
    try:
        yield
    except ForethoughtError:
        raise
    except Exception as error:
        raise _damaged(what, hint, error) from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        # Without the cause, which holds only the library's stack trace.
        raise _damaged(what, hint, error) from None


def _damaged(what: str, hint: str, error: BaseException) -> DamagedFileError:
    return DamagedFileError(f"{what}: {str(error)[:_LONGEST]}", hint)
