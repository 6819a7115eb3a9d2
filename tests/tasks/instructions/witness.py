"""Texts that meet given constraints, written from the constraints' values alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = "we saw it again and again on that day"
_CHINESE = "我们那天又看到了它"


def witness(constraints: Sequence[Mapping[str, Any]]) -> str:
    """A text that meets all of these constraints."""
    given = {one["kind"]: one for one in constraints}
    if "json" in given:
        used = " ".join(given.get("include", {}).get("words", ("fine",)))
        return json.dumps(dict.fromkeys(given["json"]["keys"], used))
    text = _body(given)
    if "title" in given:
        text = f"<<{_CHINESE if 'chinese' in given else 'one'}>>\n{text}"
    return text.upper() if given.get("case", {}).get("case") == "capital" else text


def _body(given: Mapping[str, Mapping[str, Any]]) -> str:
    unit, stop, space = (_CHINESE, "。", "") if "chinese" in given else (_PLAIN, ".", " ")
    used = " ".join(given.get("include", {}).get("words", ()))
    if "starts" in given:
        used = f"{given['starts']['phrase']} {used}"
    parts = [unit if "words" not in given else "so"] * _count(given)
    parts[0] = f"{used} {parts[0]}".strip()
    least = given.get("words", {}).get("least", 0)
    parts[0] = f"{parts[0]}{' then' * least}"
    if "ends" in given:
        last = given["ends"]["phrase"]
        parts = [*parts[:-1], last] if len(parts) > 1 else [f"{parts[0]}{stop} {last}"]
    ended = [one if one.endswith(stop) else f"{one}{stop}" for one in parts]
    if "bullets" in given:
        return "\n".join(f"- {one}" for one in ended)
    return ("\n\n" if "paragraphs" in given else space).join(ended)


def _count(given: Mapping[str, Mapping[str, Any]]) -> int:
    """The sentences, paragraphs or bullets that are asked for; otherwise one."""
    counted = ("sentences", "paragraphs", "bullets")
    return next((given[one]["count"] for one in counted if one in given), 1)
