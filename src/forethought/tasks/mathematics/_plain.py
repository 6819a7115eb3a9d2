r"""Normalisation of LaTeX: no layout or units, one spelling for each sign and number."""

from __future__ import annotations

import re
from fractions import Fraction

UNION = "\u222a"
"""The sign between the parts of a union."""

_THIN = r"(?:\s*\{\s*,\s*\}|,\s*\\!|\\[,;:! ]|[~ \u00a0\u2009\u202f])(?:\s|\\!)*"
"""Separators of digit groups; a bare comma is not among them, since it may separate a list."""
_GROUPED = re.compile(rf"(?<![\d.])(?!0+{_THIN})\d{{1,3}}(?:{_THIN}\d{{3}})+(?!\d)")
_BRACED = re.compile(
    r"(?:(?<![\\^_A-Za-z}])|(?<=^[A-Za-z])|(?<=[^\\A-Za-z][A-Za-z]))"
    r"\{\s*([-+*/=%\u2212]|\\[,;:!%]|\\(?:cdot|times|div))\s*\}"
    r"|\{\s*(\.)\s*\}(?=\d)"
)
"""A sign in braces, which change its spacing alone; behind a command, ^ or _ it is an argument."""
_DECIMAL_COMMA = re.compile(r"(?<=\d)\{\s*,\s*\}(?=\d)")
_REPEATING = re.compile(
    r"(?<!\d)(\d{0,50})\.(\d{0,50})\\(?:overline|bar|dot)\s*(?:\{(\d{1,50})\}|(\d))"
)
_SPELLINGS = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        # Files that were escaped twice; a matrix row never starts with the bare name of a command.
        (
            r"\\\\(?=(?:[dt]?frac|left|right|sqrt|pi|text|infty|cdot|times|circ|le|ge|cup)(?![a-z]))",
            r"\\",
        ),
        (r"(?<=\d)(?:[eE]\+?(\d+)|E(-\d+)|e(-\d\d+))(?![\d.])", r"*10^{\1\2\3}"),
        (r"\\?\$|[€£¥]|\\pounds(?![a-z])", " "),
        (r"(?<!\\)\\[!,;:> ]|\\q?quad(?![a-z])|~|[\u00a0\u2009\u202f]", " "),
        (r"\\(?:displaystyle|textstyle|limits|left|right|[bB]igg?[lr]?)(?![a-z])", ""),
        (r"\^\s*(?:\{\s*)?\\circ\s*\}?|\\degree(?![a-z])|°", ""),
        (r"²", "^2"),
        (r"³", "^3"),
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (r"\\[dt]binom(?![a-z])", r"\\binom"),
        (r"\\(?:cdot|times|ast)(?![a-z])|[×·]", "*"),
        (r"\\div(?![a-z])|÷", "/"),
        (r"\\(?:leqslant|leq|le)(?![a-z])|<=|≤", "≤"),
        (r"\\(?:geqslant|geq|ge)(?![a-z])|>=|≥", "≥"),
        (r"\\(?:neq|ne)(?![a-z])|!=|\\not\s*=", "≠"),
        (r"\\lt(?![a-z])", "<"),
        (r"\\gt(?![a-z])", ">"),
        (r"\\(?:approx|simeq)(?![a-z])", "≈"),
        (r"\\[lr]vert(?![a-z])", "|"),
        (r"\\langle(?![a-z])", "("),
        (r"\\rangle(?![a-z])", ")"),
        (r"\\pm(?![a-z])", "±"),
        (r"\\mp(?![a-z])", "∓"),
        (r"\\cup(?![a-z])", UNION),
        (r"\\(?:emptyset|varnothing)(?![a-z])|∅", "∅"),
        (r"\\mathbb\s*(?:\{\s*)?R\s*\}?|\u211d", r"(-\\infty,\\infty)"),
        (r"\\lbrace(?![a-z])|\\\{", "{"),
        (r"\\rbrace(?![a-z])|\\\}", "}"),
        (r"\{,\}|;", ","),
        (r"[\u2212\u2013]", "-"),
        (r"∞", r"\\infty "),
        (r"π", r"\\pi "),
        (r"√", r"\\sqrt "),
        (r"\\math(?:rm|bf|it)\s*\{([eixyz])\}", r"\1"),
        (r"\\operatorname\s*\{([A-Za-z]+)\}", r"\\\1 "),
        (r"\\(?:mbox|hbox|textbf|textit|textrm|textnormal|mathrm|mathbf)(?![a-z])", r"\\text"),
        (r"\\text\s*\{\s*(-?[\d.,]+)\s*\}", r"\1"),
        (r"\\text\s*\{\s*(?:percent|percentage|pct|\\?%)\s*\}", "%"),
        (r"\b(?:percent|percentage|pct)\b|\\%", "%"),
        (r"(?<!\s)\s+(?=%)", ""),
        (r"(?:,\s*)?(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)", ","),
        (r"^\s*[A-Za-z]\s*(?:\\in(?![a-z])|∈)", ""),
    )
)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_UNIT = re.compile(
    r"(.*[\w})\]|!%])(?:\s*[*/])?\s*\\text\s*\{[^{}]*\}\s*(?:\^\s*(?:\d|\{\d\}))?", re.DOTALL
)
_WORDS = re.compile(
    r"(.*[\d})%])(?:\s+(?!pi\b|sqrt\b)[A-Za-z]{3}[A-Za-z .]*|\s*(?:[cmk]m|[mk]g|km/h|mph|m/s)\b)"
    r"(?:\^(?:\d|\{\d\}))?",
    re.DOTALL,
)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?%?")
_MOST_UNITS = 4

_PLAIN_NUMBER = re.compile(r"-?\d{1,60}(?:\.\d{1,60}|/0*[1-9]\d{0,60})?")


def plain(text: str) -> str:
    """Remove layout, currency, degrees and units, and join grouped digits."""
    text = _BRACED.sub(_unbraced, text)
    text = _DECIMAL_COMMA.sub(".", _GROUPED.sub(_together, text))
    text = _REPEATING.sub(_fraction, text)
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    text = text.strip().rstrip(".,").strip()
    for _ in range(_MOST_UNITS):
        text = _without_unit(text)
    return text


def normal_form(text: str) -> str:
    """One spelling for a number, whether decimal, fraction or grouped; other text as `plain`."""
    bare = plain(text)
    return str(Fraction(bare)) if _PLAIN_NUMBER.fullmatch(bare) else bare


def readings(text: str) -> list[str]:
    """Possible readings of a plain answer: exact or rounded, a number with commas or a list."""
    parts = text.split("≈")
    numbers = [part.replace(",", "") for part in parts if _THOUSANDS.fullmatch(part.strip())]
    return [*numbers, *(part.strip() for part in parts)]


def without_text(text: str) -> str:
    r"""Replace \text{...} by its content."""
    return _TEXT.sub(r"\1", text)


def _unbraced(sign: re.Match[str]) -> str:
    found = sign[1] or sign[2]
    return f"{found} " if found[-1].isalpha() else found


def _together(number: re.Match[str]) -> str:
    return "".join(sign for sign in number[0] if sign.isdecimal())


def _fraction(number: re.Match[str]) -> str:
    """A repeating decimal as a fraction.

    The numerator is all digits minus those before the period, the denominator 9…90…0 with one 9
    per digit of the period and one 0 per fixed digit.
    """
    whole, fixed = number[1], number[2]
    period = number[3] or number[4]
    top = int(f"{whole}{fixed}{period}") - int(f"{whole}{fixed}" or "0")
    return rf"(\frac{{{top}}}{{{'9' * len(period)}{'0' * len(fixed)}}})"


def _without_unit(text: str) -> str:
    for pattern in (_UNIT, _WORDS):
        found = pattern.fullmatch(text)
        text = found[1].strip() if found else text
    return text
