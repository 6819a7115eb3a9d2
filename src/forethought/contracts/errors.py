"""Everything that can go wrong, as one small tree.

ForethoughtError
├── UsageError                 what was asked cannot be done as asked (exit code 2)
│   ├── UnknownNameError       no method or model is called that
│   ├── BadParameterError      a value outside its limits
│   ├── UnfitError             a question does not fit what it is asked with
│   │   ├── PromptTooLongError     more tokens than the model's context holds
│   │   ├── BudgetTooSmallError    what must stay does not fit in the budget
│   │   └── NoDocumentError        there is nothing that a method could choose from
│   └── BadDataError           a file of questions cannot be read
├── BudgetSpentError           the budget does not cover what is needed next (exit code 3)
├── StoreError                 the file of results cannot be used (exit code 1)
└── ModelError                 a model could not be used (exit code 1)
    ├── DamagedFileError       truncated, malformed or of the wrong content
    ├── DownloadError          a file could not be fetched whole
    ├── CacheError             the folder of converted models cannot be written or read
    ├── RemoteError            a model's server cannot be reached, or does not answer as asked
    ├── UnsupportedModelError  an architecture or feature we do not run correctly
    └── TokenizerMismatchError two models whose tokens cannot be matched
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MAKE_ANEW = "make it anew with: forethought pull MODEL --again"
"""The hint where a model's converted files are damaged."""


class ForethoughtError(Exception):
    """What was wrong, with the value; `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    @contextmanager
    @staticmethod
    def named(where: str) -> Iterator[None]:
        """Say of errors that are raised inside where they arose."""
        try:
            yield
        except ForethoughtError as error:
            error.message = f"{where}: {error.message}"
            raise


class UsageError(ForethoughtError):
    """What was asked cannot be done as asked."""

    exit_code = 2


class UnknownNameError(UsageError):
    """No method or model is called that."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """The error for `name`, with its nearest neighbours among `known` as the hint."""
        import difflib  # takes as long to import as all else here

        names = list(known)
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        return cls(f"no {kind} is called {name!r}", hint)


class BadParameterError(UsageError):
    """A value outside its limits."""


class UnfitError(UsageError):
    """A question does not fit what it is asked with; others may."""


class PromptTooLongError(UnfitError):
    """More tokens than the model's context holds."""


class BudgetTooSmallError(UnfitError):
    """What must stay does not fit in the budget."""


class NoDocumentError(UnfitError):
    """There is nothing that a method could choose from."""


class BadDataError(UsageError):
    """A file of questions cannot be read."""


class BudgetSpentError(ForethoughtError):
    """What is left of a run's budget does not cover what is needed next."""

    exit_code = 3


class StoreError(ForethoughtError):
    """The file of results cannot be used."""


class ModelError(ForethoughtError):
    """A model could not be used."""


class DamagedFileError(ModelError):
    """A file is truncated, malformed or not the one it should be."""


class DownloadError(ModelError):
    """A file could not be fetched whole."""


class CacheError(ModelError):
    """The folder of converted models cannot be written or read."""


class RemoteError(ModelError):
    """A model's server cannot be reached, or does not answer as asked."""


class UnsupportedModelError(ModelError):
    """An architecture or feature that would not run correctly here."""


class TokenizerMismatchError(ModelError):
    """Two models whose tokens cannot be matched."""
