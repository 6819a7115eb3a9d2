"""Extraction of the program from an answer."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_FENCE = re.compile(r"(?P<margin>[ \t>]*+)(?P<fence>`{3,}+|~{3,}+)[^`]*+")
"""A line that opens a code block."""
_THINKING = re.compile(
    r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)"
    r"|\[(THINK)\].*?(?:\[/\2\]|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_THINKING_ENDS = re.compile(r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]")
"""The end of thinking without its start, which the chat template holds."""


def code_of(answer: str, entry: str) -> str:
    """The last code block that defines `entry`, else the last with a function body, else the last.

    Without code blocks it is the whole answer. Thinking is removed first.
    """
    answer = _without_thinking(answer.replace("\r\n", "\n"))
    blocks = list(_blocks(answer))
    if not blocks:
        return answer.strip("\n")
    for fits in (_defines(entry), _RESULT):
        if found := [block for block in blocks if fits.search(block)]:
            return found[-1]
    return blocks[-1]


def holds_program(answer: str, entry: str) -> bool:
    """Whether the answer's code defines the function, or reads as the body of a function."""
    code = code_of(answer, entry)
    return defines(code, entry) or bool(_RESULT.search(code))


def defines(code: str, entry: str) -> bool:
    """Whether the code defines the function, by def or by assignment."""
    return bool(_defines(entry).search(code))


_RESULT = re.compile(r"^[ \t]*(?:return|yield|raise)\b", re.MULTILINE)


def _defines(entry: str) -> re.Pattern[str]:
    name = re.escape(entry)
    return re.compile(
        rf"^(?:(?:async\s+)?def\s+{name}\b|{name}\s*(?::[^=\n]+)?=(?!=))", re.MULTILINE
    )


def _without_thinking(answer: str) -> str:
    answer = _THINKING.sub("", answer)
    ends = [match.end() for match in _THINKING_ENDS.finditer(answer)]
    return answer[ends[-1] :] if ends else answer


def _blocks(answer: str) -> Iterator[str]:
    """The code blocks; the last fence may be unclosed."""
    opened: re.Match[str] | None = None
    code: list[str] = []
    for line in answer.split("\n"):
        if opened is None:
            opened, code = _FENCE.fullmatch(line), []
        elif _closes(line, opened["fence"]):
            yield _without_margin(opened["margin"], "".join(f"{one}\n" for one in code))
            opened = None
        else:
            code.append(line)
    if opened is not None and code:
        yield _without_margin(opened["margin"], "\n".join(code))


def _closes(line: str, fence: str) -> bool:
    rest = line.lstrip(" \t>")
    return rest.startswith(fence) and not rest.rstrip(" \t").strip("`~")


def _without_margin(margin: str, code: str) -> str:
    """A block's code without the margin of its fence, in a list or quotation."""
    if ">" in margin:
        code = re.sub(r"^[ \t]*+>[ ]?", "", code, flags=re.MULTILINE)
    elif margin:
        code = _unindented(code, len(margin.expandtabs(4)))
    return code


def _unindented(code: str, most: int) -> str:
    """Dedent the code by its common indentation, but at most by that of its fence."""
    lines = code.expandtabs(4).splitlines(keepends=True)
    common = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    shift = min([most, *common])
    return "".join(line[shift:] if line.strip() else "\n" for line in lines)


def as_program(prompt: str, code: str, entry: str) -> str:
    """The program: the prompt's code followed by the answer's code.

    A whole function may need the prompt's imports and helpers; a bare body continues the
    prompt's function.
    """
    if not defines(code, entry):
        code = code if code[:1] in (" ", "\t") else textwrap.indent(code, "    ")
    return f"{prompt.rstrip()}\n\n{code}"
