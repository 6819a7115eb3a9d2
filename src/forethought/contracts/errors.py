"""The exception tree.

ForethoughtError
├── UsageError                 wrong input (exit code 2)
│   ├── UnknownNameError       a name that the catalogue does not hold
│   ├── BadParameterError      a value outside its limits
│   ├── UnfitError             a question that does not fit the recipe
│   │   ├── PromptTooLongError     a prompt longer than the model's context
│   │   ├── BudgetTooSmallError    a budget smaller than the protected tokens
│   │   └── NoDocumentError        a prompt without a document to shorten
│   └── BadDataError           an unreadable file of questions or plans
├── BudgetSpentError           the budget does not cover the next step (exit code 3)
├── StoreError                 an unusable results file (exit code 1)
├── ClusterError               an unusable Ray cluster, or workers that die (exit code 1)
└── ModelError                 an unusable model (exit code 1)
    ├── DamagedFileError       a truncated or malformed file
    ├── DownloadError          an incomplete download
    ├── CacheError             an unusable model cache
    ├── RemoteError            an unreachable server, or a wrong reply
    ├── UnsupportedModelError  an architecture or feature that is not supported
    │   └── ConversationRefusedError   messages that the model's chat template refuses
    └── TokenizerMismatchError two tokenizers that cannot be aligned
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MAKE_ANEW = "fetch it again: forethought pull MODEL --again"
"""The hint for damaged files of a converted model."""


class ForethoughtError(Exception):
    """The message says what was wrong with the value; `hint` says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def drop_frames(self) -> None:
        """Forget where this error and its causes were raised.

        Frames hold their locals, such as a whole prompt, and a cycle holds them until a full
        collection: integers do not count towards the next one.
        """
        pending: list[BaseException | None] = [self]
        while pending:
            error = pending.pop()
            if error is not None:
                error.__traceback__ = None
                pending += [error.__cause__, error.__context__]

    @contextmanager
    @staticmethod
    def named(where: str) -> Iterator[None]:
        """Prefix the message of errors raised inside with `where`."""
        try:
            yield
        except ForethoughtError as error:
            error.message = f"{where}: {error.message}"
            raise


class UsageError(ForethoughtError):
    """Wrong input: arguments, parameters or data."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that the catalogue does not hold."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """The error for `name`; the hint lists the closest of the known names."""
        import difflib  # takes as long to import as all other modules of `--help`

        names = list(known)
        near = difflib.get_close_matches(name, names, n=3)
        every = f"known: {', '.join(names)}" if names else "there is none"
        hint = f"did you mean {' or '.join(near)}?" if near else every
        return cls(f"no {kind} is called {name!r}", hint)


class BadParameterError(UsageError):
    """A value outside its limits."""


class UnfitError(UsageError):
    """A question that does not fit the recipe; other questions may."""


class PromptTooLongError(UnfitError):
    """A prompt longer than the model's context."""


class BudgetTooSmallError(UnfitError):
    """A budget smaller than the protected tokens."""


class NoDocumentError(UnfitError):
    """A prompt without a document to shorten."""


class BadDataError(UsageError):
    """An unreadable file of questions or plans."""


class BudgetSpentError(ForethoughtError):
    """The rest of a run's budget does not cover the next step."""

    exit_code = 3


class StoreError(ForethoughtError):
    """An unusable results file."""


class ClusterError(ForethoughtError):
    """An unusable Ray cluster, or workers that die."""


class ModelError(ForethoughtError):
    """An unusable model."""


class DamagedFileError(ModelError):
    """A truncated or malformed file, or one with the wrong checksum."""


class DownloadError(ModelError):
    """An incomplete download."""


class CacheError(ModelError):
    """An unusable model cache."""


class RemoteError(ModelError):
    """An unreachable server, or a reply that breaks the protocol."""


class UnsupportedModelError(ModelError):
    """An architecture or feature that is not supported."""


class ConversationRefusedError(UnsupportedModelError):
    """Messages or tools that the model's chat template refuses or does not show."""


class TokenizerMismatchError(ModelError):
    """Two tokenizers that cannot be aligned."""
