r"""LaTeX made plain: layout and units taken out, one spelling for each sign."""

from __future__ import annotations

import re

UNION = "\u222a"
"""The sign that stands between the parts of a union."""

_SPELLINGS = (
    (r"\\\$|(?<!\\)\\[!,;:> ]|\\q?quad|\\displaystyle|\\limits|~", " "),
    (r"\\left(?![a-z])|\\right(?![a-z])|\\[bB]igg?[lr]?(?![a-z])|\$", ""),
    (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-z])|°", ""),
    (r"\\[dt]frac", r"\\frac"),
    (r"\\cdot(?![a-z])|\\times(?![a-z])|[×·]", "*"),
    (r"\\div(?![a-z])|÷", "/"),
    (r"\\leq(?![a-z])|≤", r"\\le "),
    (r"\\geq(?![a-z])|≥", r"\\ge "),
    (r"\\[lr]vert", "|"),
    (r"\\pm(?![a-z])", "±"),
    (r"\\mp(?![a-z])", "∓"),
    (r"\\cup(?![a-z])", UNION),
    (r"\\%", "%"),
    (r"\\lbrace|\\\{", "{"),
    (r"\\rbrace|\\\}", "}"),
    (r"\{,\}", ","),
    (r"[\u2212\u2013]", "-"),
    (r"∞", r"\\infty "),
    (r"π", r"\\pi "),
    (r"√", r"\\sqrt "),
    (r"\\(?:mbox|textbf|textit|textrm|mathrm|mathbf|operatorname)\b", r"\\text"),
    (r",?\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)\s*", ","),
    (r"^\s*[A-Za-z]\s*(?:\\in(?![a-z])|∈)", ""),
)
_TEXT = r"\\text\s*\{([^{}]*)\}"
_UNIT = re.compile(rf"(.*[^\s])\s*{_TEXT}\s*(?:\^\s*(?:\d|\{{\d\}}))?", re.DOTALL)
_WORDS = re.compile(r"(.*[\d}])\s+(?!pi\b|sqrt\b)[A-Za-z]{3}[A-Za-z .]*(?:\^\d)?", re.DOTALL)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?%?")


def plain(text: str) -> str:
    """The answer without layout, currency, degrees and units; thousands without commas."""
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text)
    text = _without_unit(text.strip().rstrip(".").strip())
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def without_text(text: str) -> str:
    r"""What \text{...} stands around, without it."""
    return re.sub(_TEXT, r"\1", text)


def _without_unit(text: str) -> str:
    for pattern in (_UNIT, _WORDS):
        found = pattern.fullmatch(text)
        text = found[1].strip() if found else text
    return text
