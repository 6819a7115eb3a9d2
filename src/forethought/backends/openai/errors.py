"""Errors of calls to servers, by what the caller may do next."""

from __future__ import annotations

from forethought.contracts.errors import RemoteError


class TransientError(RemoteError):
    """A failure that a retry may mend."""

    def __init__(self, message: str, hint: str = "", *, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait
        """Seconds that the server's Retry-After asks for."""
        self.overloaded = False
        """Whether the concurrency limit fell since the request began: such a failure counts as no
        attempt."""


class StalledError(TransientError):
    """The server sent nothing for too long, perhaps because it served other requests."""


class RefusedError(RemoteError):
    """The server rejects this kind of request."""
