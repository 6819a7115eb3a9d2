"""The program in an answer: which of its blocks of code is meant."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_FENCE = re.compile(r"(?P<margin>[ \t>]*+)(?P<fence>`{3,}+|~{3,}+)[^`]*+")
"""A line that opens a block."""
_THINKING = re.compile(
    r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)"
    r"|\[(THINK)\].*?(?:\[/\2\]|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_THINKING_ENDS = re.compile(r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]")
"""Where a chat template began the thinking, the answer holds its end alone."""


def code_of(answer: str, entry: str) -> str:
    """The last block that defines `entry`; else the last with a function's body, or the last.

    All of the answer where it has no block. Thinking is no part of an answer.
    """
    answer = _without_thinking(answer.replace("\r\n", "\n"))
    blocks = list(_blocks(answer))
    if not blocks:
        return answer.strip("\n")
    for fits in (_defines(entry), _RESULT):
        if found := [block for block in blocks if fits.search(block)]:
            return found[-1]
    return blocks[-1]


def defines(code: str, entry: str) -> bool:
    """Whether a program defines the function, by a def or as another name of one."""
    return bool(_defines(entry).search(code))


_RESULT = re.compile(r"^\s*(?:return|yield|raise)\b", re.MULTILINE)


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
    """The code between fences; the last block may lack its end."""
    opened: re.Match[str] | None = None
    code: list[str] = []
    for line in answer.split("\n"):
        if opened is None:
            opened, code = _FENCE.fullmatch(line), []
        elif _closes(line, opened["fence"]):
            yield _plain(opened["margin"], "".join(f"{one}\n" for one in code))
            opened = None
        else:
            code.append(line)
    if opened is not None and code:
        yield _plain(opened["margin"], "\n".join(code))


def _closes(line: str, fence: str) -> bool:
    rest = line.lstrip(" \t>")
    return rest.startswith(fence) and not rest.rstrip(" \t").strip("`~")


def _plain(margin: str, code: str) -> str:
    """A block's code without the margin that its fence has, in a list or a quotation."""
    if ">" in margin:
        code = re.sub(r"^[ \t]*+>[ ]?", "", code, flags=re.MULTILINE)
    elif margin:
        code = _unindented(code, len(margin.expandtabs(4)))
    return code


def _unindented(code: str, most: int) -> str:
    """The code moved left by its common indentation, but no more than its fence is indented."""
    lines = code.expandtabs(4).splitlines(keepends=True)
    common = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    shift = min([most, *common])
    return "".join(line[shift:] if line.strip() else "\n" for line in lines)


def as_program(prompt: str, code: str, entry: str) -> str:
    """The prompt's code and the answer's.

    An answer with the whole function comes after the prompt, whose imports and helpers it may
    need; an answer with a mere body goes on where the prompt ends.
    """
    if not defines(code, entry):
        code = code if code[:1] in (" ", "\t") else textwrap.indent(code, "    ")
    return f"{prompt.rstrip()}\n\n{code}"
