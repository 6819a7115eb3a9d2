"""Grammars of tool calls in the formats of `call_formats`, as lark text for llguidance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from forethought.models.chat.call_formats import HERMES_CLOSE, HERMES_OPEN, MISTRAL_OPEN, CallFormat

_PARAMETER_END = "\n</parameter>\n"


MARKERS = (HERMES_OPEN, HERMES_CLOSE, MISTRAL_OPEN)
"""Texts around calls that some vocabularies hold as one token."""


def call_grammar(
    written: CallFormat,
    tools: Sequence[Mapping[str, Any]],
    *,
    parallel: bool,
    tokens: Mapping[str, int] | None = None,
) -> str:
    """The grammar of one call of these tools, or of several if they may be `parallel`.

    `tokens` are the markers that are tokens of the vocabulary: a model writes them as such, and
    the bytes of a control token are not those of its text.
    """
    markers = {text: f"<[{token}]>" for text, token in (tokens or {}).items()}
    opened, closed, listed = (markers.get(text, _text(text)) for text in MARKERS)
    match written:
        case "hermes":
            more = ' ("\\n" tagged)*' if parallel else ""
            call = _json(_any_call(tools, "arguments"))
            tagged = f'{opened} "\\n" call "\\n" {closed}'
            return f"start: tagged{more}\ntagged: {tagged}\ncall: {call}\n"
        case "llama":
            return f"start: call\ncall: {_json(_any_call(tools, 'parameters'))}\n"
        case "mistral":
            item = _any_call(tools, "arguments")
            most = {} if parallel else {"maxItems": 1}
            items = {"type": "array", "items": item, "minItems": 1, **most}
            calls = {**items, "$defs": item.pop("$defs")}
            return f"start: {listed} calls\ncalls: {_json(calls)}\n"
        case "qwen-xml":
            return _xml(tools, parallel, opened, closed)


def _json(schema: Any) -> str:
    return f"%json {_text(schema)}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _any_call(tools: Sequence[Mapping[str, Any]], arguments: str) -> dict[str, Any]:
    """The schema of a call of one of the tools, whose parameters are among its definitions."""
    calls, schemas = [], {}
    for n, tool in enumerate(tools):
        schemas[f"tool{n}"] = _parameters(tool["function"], n)
        values = {
            "name": {"const": tool["function"]["name"]},
            arguments: {"$ref": f"#/$defs/tool{n}"},
        }
        calls.append(
            {
                "type": "object",
                "properties": values,
                "required": list(values),
                "additionalProperties": False,
            }
        )
    return {"anyOf": calls, "$defs": schemas}


def _parameters(function: Mapping[str, Any], number: int) -> Any:
    """The schema of a function's arguments, with references that hold inside a larger schema."""
    found = function.get("parameters")
    given = found if isinstance(found, Mapping) and found else {"type": "object"}
    return _moved(given, f"#/$defs/tool{number}")


def _moved(schema: Any, root: str) -> Any:
    """The schema with its references to its own root led to another place."""
    if isinstance(schema, Mapping):
        found = {key: _moved(value, root) for key, value in schema.items()}
        target = schema.get("$ref")
        if isinstance(target, str) and target.startswith("#"):
            found["$ref"] = root + target[1:]
        return found
    return [_moved(one, root) for one in schema] if isinstance(schema, list | tuple) else schema


def _xml(tools: Sequence[Mapping[str, Any]], parallel: bool, opened: str, closed: str) -> str:
    """Calls with one element per parameter, in the order of the schema."""
    rules = [f"text[suffix={_text(_PARAMETER_END)}]: /(?s:.*)/"]
    calls = []
    for n, tool in enumerate(tools):
        function = tool["function"]
        schema = _parameters(function, n)
        required, pieces = schema.get("required") or (), []
        for m, (name, one) in enumerate((schema.get("properties") or {}).items()):
            pieces.append(f"p{n}_{m}" if name in required else f"p{n}_{m}?")
            rules.append(f"p{n}_{m}: {_xml_value(name, one, f'v{n}_{m}')}")
            if not _is_text(one):
                value = {**one, "$defs": {f"tool{n}": schema}}
                rules.append(f"v{n}_{m}: {_json(value)}")
        head = _text(f"\n<function={function['name']}>\n")
        calls.append(f"c{n}")
        rules.append(" ".join((f"c{n}:", opened, head, *pieces, _text("</function>\n"), closed)))
    more = ' ("\\n" call)*' if parallel else ""
    return "\n".join((f"start: call{more}", f"call: {' | '.join(calls)}", *rules, ""))


def _xml_value(name: str, schema: Any, rule: str) -> str:
    opened = _text(f"<parameter={name}>\n")
    if _is_text(schema):
        return f"{opened} text"
    return f"{opened} {rule} {_text(_PARAMETER_END)}"


def _is_text(schema: Any) -> bool:
    return not isinstance(schema, Mapping) or schema.get("type") == "string"
