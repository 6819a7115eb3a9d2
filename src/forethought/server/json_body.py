"""Reads the JSON body of a request within limits of size, time and depth."""

from __future__ import annotations

import asyncio
import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from forethought.server.errors import ApiError, bad_request
from forethought.server.settings import ServerSettings

_DEEPEST = 64
_LONGEST_SHOWN = 60
_LONGEST_PLACE = 200
_MOST_DIGITS = 400
_UNKNOWN = "extra_forbidden"
_CONSTANT = re.compile(r"\b(?:True|False|None)\b")
_JSON = {"True": "true", "False": "false", "None": "null"}
Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body], settings: ServerSettings) -> Body:
    """The body of a request as `kind`; raises ApiError for anything else."""
    found = await read_json(request, settings)
    if not isinstance(found, dict):
        raise bad_request("the request body is not a JSON object", "send an object of fields")
    return checked(kind, found)


async def read_json(request: Request, settings: ServerSettings) -> Any:
    """The body of a request as JSON; raises ApiError."""
    return parse_json(await _bytes(request, settings))


async def _bytes(request: Request, settings: ServerSettings) -> bytes:
    most = settings.max_body_bytes
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > most:
        raise _too_large(most)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "the request body is compressed", "send it without Content-Encoding")
    read = bytearray()
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for part in request.stream():
                read += part
                if len(read) > most:
                    raise _too_large(most)
    except TimeoutError:
        headers = {"Connection": "close"}
        seconds = f"{settings.body_seconds:g} seconds"
        raise ApiError(
            408, f"the request body did not arrive within {seconds}", headers=headers
        ) from None
    except ClientDisconnect:
        raise ApiError(400, "the client left before its request was complete") from None
    return bytes(read)


def _too_large(most: int) -> ApiError:
    return ApiError(
        413,
        f"the request body has more than {most:,} bytes",
        "send a shorter prompt",
        headers={"Connection": "close"},
    )


def parse_json(data: bytes) -> Any:
    """Strict JSON: UTF-8, finite numbers, no lone surrogates, limited depth."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        at = f"byte {data[error.start]:#04x} at offset {error.start}"
        raise bad_request(f"the request body is not UTF-8: {at}", "send JSON as UTF-8") from None
    try:
        found = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise bad_request(
            f"the request body is not JSON: {error}", "send one JSON object"
        ) from None
    if not _within(found, _DEEPEST):
        raise _too_deep()
    if "\\ud" in text or "\\uD" in text:
        _check_letters(found)
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:_LONGEST_SHOWN]} is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _too_deep() -> ApiError:
    return bad_request(
        f"the request body is nested more than {_DEEPEST} levels deep", "send a flatter object"
    )


def _within(value: Any, depth: int) -> bool:
    """Whether a value has at most `depth` levels of lists and objects."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _check_letters(found: Any) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise bad_request(
            "the request body holds half of a surrogate pair", "escape both halves, or send UTF-8"
        ) from None


def checked(kind: type[Body], found: Mapping[str, Any]) -> Body:
    """The fields as `kind`; raises ApiError that names the first wrong field."""
    refused: Mapping[str, str] = getattr(kind, "REFUSED", {})
    given = {name: value for name, value in found.items() if value is not None}
    switched: Mapping[str, str] = getattr(kind, "REFUSED_IF_TRUE", {})
    for name in given:
        if name in switched and given[name] is True:
            raise bad_request(
                f"{_shown(name)}: true is not supported",
                switched[name],
                name,
                "unsupported_parameter",
            )
        if name in refused:
            raise bad_request(
                f"{_shown(name)} is not supported", refused[name], name, "unsupported_parameter"
            )
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _field_error(kind, given, error) from None


def _of(kind: type[BaseModel]) -> list[str]:
    return sorted(kind.model_fields)


def _field_error(
    kind: type[BaseModel], found: Mapping[str, Any], error: ValidationError
) -> ApiError:
    problems = [(_place(one, found), one) for one in error.errors(include_url=False)]
    place, first = max(problems, key=_likelihood)
    shown = ".".join(map(str, place))[:_LONGEST_PLACE] or None
    if first["type"] == _UNKNOWN:
        name = str(first["loc"][-1])
        near = difflib.get_close_matches(name, _of(kind), n=1) if len(place) == 1 else ()
        hint = f"did you mean {near[0]}?" if near else "leave it out; see /openapi.json"
        told = f"no field of this request is called {_shown(name)}"
        return bad_request(told, hint, shown, "unknown_parameter")
    told = f"{shown or 'the request'}: {problem_words(first)}"
    return bad_request(told, "see /openapi.json", shown, "invalid_value")


def _likelihood(problem: tuple[Sequence[str | int], Mapping[str, Any]]) -> tuple[int, bool, bool]:
    """How likely a problem of a union's arm belongs to the arm that the client meant.

    The deepest one, and of equally deep ones that of an arm whose type fits. A wrong number of
    items counts as deep as the items.
    """
    place, found = problem
    depth = len(place) + (found["type"] in ("too_long", "too_short"))
    return depth, found["type"] != _UNKNOWN, not found["type"].endswith("_type")


def problem_words(problem: Mapping[str, Any]) -> str:
    """A problem of pydantic in plain words."""
    limits, given = problem.get("ctx", {}), problem["input"]
    match problem["type"]:
        case "too_long":
            return f"{len(given):,} items are given, and {limits['max_length']:,} are allowed"
        case "too_short" if not given:
            return "it is empty"
        case "too_short":
            return f"{len(given):,} items are given, and {limits['min_length']:,} are needed"
        case "string_too_long":
            allowed = f"{limits['max_length']:,} are allowed"
            return f"{len(given):,} characters are given, and {allowed}"
        case "string_too_short" if not given:
            return "it is empty"
        case "literal_error":
            return f"it must be {_CONSTANT.sub(lambda at: _JSON[at[0]], limits['expected'])}"
    told = str(problem["msg"]).removeprefix("Value error, ")
    return f"{told[:1].lower()}{told[1:]}"


def _place(problem: Mapping[str, Any], found: Any) -> list[str | int]:
    """The fields and indices of a problem, without pydantic's names of a union's arms."""
    location = problem["loc"]
    place: list[str | int] = []
    for part in location:
        inside = isinstance(found, dict) and part in found
        inside = inside or (isinstance(found, list) and isinstance(part, int) and part < len(found))
        if inside:
            found = found[part]
            place.append(part)
    absent = problem["type"] in ("missing", _UNKNOWN) and location[-1] not in place
    return [*place, location[-1]] if absent else place


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}...")
