"""Errors of the HTTP interface, in the shape of OpenAI's API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse

from forethought.backends.openai.errors import RefusedError
from forethought.contracts.errors import (
    BudgetSpentError,
    ConversationRefusedError,
    ForethoughtError,
    PromptTooLongError,
    RemoteError,
    UsageError,
)
from forethought.server.request_words import as_fields, request_hint
from forethought.sessions.engine_thread import StoppingError

_KINDS = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "forbidden"),
    404: ("not_found_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("timeout_error", "request_timeout"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    502: ("server_error", "upstream_error"),
    503: ("server_error", "not_ready"),
    504: ("timeout_error", "request_timeout"),
}


_STATUSES: tuple[tuple[type[ForethoughtError], int, str | None], ...] = (
    (PromptTooLongError, 400, "context_length_exceeded"),
    (BudgetSpentError, 400, "budget_spent"),
    (ConversationRefusedError, 400, None),
    (UsageError, 400, None),
    (RefusedError, 400, None),
    (RemoteError, 502, None),
    (StoppingError, 503, "server_stopping"),
    (ForethoughtError, 500, None),
)
"""The status and code of our own errors; the first kind that fits counts."""


class ApiError(Exception):
    """An error that a client sees: an HTTP status and the document of OpenAI's API."""

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        kind, usual = _KINDS.get(
            status, ("invalid_request_error" if status < 500 else "server_error", None)
        )
        self.status, self.message, self.hint = status, message, hint
        self.kind, self.param, self.code = kind, param, code or usual
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The JSON body; the message ends with the hint, which most clients do not show."""
        told = f"{self.message}. Hint: {self.hint}" if self.hint else self.message
        shown = {"message": told, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": {**shown, **({"hint": self.hint} if self.hint else {})}}

    def shown(self, public: Callable[[str], str]) -> ApiError:
        """This error, its texts made fit for clients."""
        self.message, self.hint = public(self.message), public(self.hint)
        return self

    def response(self) -> JSONResponse:
        """The HTTP response."""
        return JSONResponse(self.document(), self.status, self.headers)


def bad_request(
    message: str, hint: str = "", param: str | None = None, code: str | None = None
) -> ApiError:
    """An error of the client, status 400."""
    return ApiError(400, message, hint, param=param, code=code)


def unexpected() -> ApiError:
    """The answer to an exception that nothing else handled; it does not reveal the cause."""
    return ApiError(500, "the server failed on this request", "see the server's log")


def as_api_error(error: ForethoughtError, param: str | None = None) -> ApiError:
    """One of our own errors for a client."""
    status, code = next((at, code) for kind, at, code in _STATUSES if isinstance(error, kind))
    message = as_fields(error.message)
    if isinstance(error, PromptTooLongError):  # the words by which LangChain knows this error
        message = f"prompt is too long: {message}"
    return ApiError(status, message, request_hint(error.hint), param=param, code=code)
