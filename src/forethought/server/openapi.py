"""The OpenAPI document: bodies are read by hand, so their schemas are added here."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

_PLACE = "#/components/schemas/{model}"
_KINDS: dict[str, type[BaseModel]] = {}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
                "hint": {"type": "string"},
            },
        }
    },
}
_STATUSES = {
    "400": "A wrong request.",
    "401": "A missing or wrong key.",
    "403": "A request from another site.",
    "404": "An unknown model or path.",
    "408": "A request that arrived too slowly.",
    "413": "A request that is too large.",
    "415": "A compressed request.",
    "429": "Too many requests; see Retry-After.",
    "500": "A failure of the server.",
    "502": "A failure of the server that answers for this one.",
    "503": "The models are still loading.",
    "504": "A request that took too long.",
}


def failures() -> dict[int | str, dict[str, Any]]:
    """The error responses of every route."""
    content = {"application/json": {"schema": {"$ref": _PLACE.format(model="Error")}}}
    return {code: {"description": told, "content": content} for code, told in _STATUSES.items()}


def described(body: type[BaseModel], kind: str) -> dict[str, Any]:
    """The arguments of a route that reads `body` by hand and answers with `kind`."""
    schema = {"$ref": _PLACE.format(model=body.__name__)}
    _KINDS[body.__name__] = body
    return {
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        },
        "responses": {
            200: {
                "description": f"The {kind}.",
                "content": {"application/json": {}, "text/event-stream": {}},
            },
            **failures(),
        },
    }


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an app, with the schemas of all bodies."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, kind in _KINDS.items():
        schema = kind.model_json_schema(ref_template=_PLACE)
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    schemas["Error"] = _ERROR
    return document
