"""What calls to servers fail with, by what may be done about it."""

from __future__ import annotations

from forethought.contracts.errors import RemoteError


class PassingError(RemoteError):
    """What may go well another time."""

    def __init__(self, message: str, hint: str = "", *, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait
        """Seconds that the server asks to be left alone."""
        self.crowded = False
        """Whether it went wrong for the sake of other requests, of which there are fewer now."""


class SilentError(PassingError):
    """Nothing was heard for too long: perhaps others were served first."""


class RefusedError(RemoteError):
    """The server does not do what it was asked for."""
