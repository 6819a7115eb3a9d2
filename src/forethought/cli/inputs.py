"""The inputs of a question: arguments, document files and standard input."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from forethought.contracts.errors import UsageError

_MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class AskInput:
    """A question and its document, which may be empty."""

    question: str
    document: str


def asked(question: str | None, files: Sequence[str]) -> AskInput:
    """The question and its document, from arguments, files and standard input.

    Piped text is the question if the arguments hold none, else the document if no file is named.
    """
    if files.count("-") + (question is None) > 1:
        raise UsageError("standard input would be read twice", "give the question as an argument")
    if question is None:
        question = _text("standard input", _read(sys.stdin.buffer)) if piped() else ""
        if not question.strip():
            raise UsageError("no question was asked", 'for example: forethought "Why?" -f notes.md')
        return AskInput(question.strip(), documents(files))
    if not question.strip():
        raise UsageError("the question is empty", 'for example: forethought "Why?" -f notes.md')
    if files or not piped():
        return AskInput(question, documents(files))
    return AskInput(question, _text("standard input", _read(sys.stdin.buffer)))


def check_letters(name: str, text: str) -> None:
    """Raise UsageError for an argument that is not valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: {text[error.start]!r} at offset {error.start}",
            "convert it first, for example: iconv -f latin1 -t utf-8",
        ) from error


def piped() -> bool:
    """Whether standard input is a pipe or a file, not a terminal or device."""
    try:
        return not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):  # closed, absent or replaced
        return False


def documents(files: Sequence[str]) -> str:
    """The texts of all files, separated by blank lines."""
    return "\n\n".join(_document(name) for name in files)


def _document(name: str) -> str:
    where = "standard input" if name == "-" else name
    try:
        data = _read(sys.stdin.buffer) if name == "-" else _read_file(Path(name))
    except OSError as error:
        raise UsageError(
            f"cannot read {where}: {error.strerror}",
            "-f takes a text file, or - for standard input",
        ) from error
    text = _text(where, data)
    if not text.strip():
        raise UsageError(f"{where} is empty", "leave it out, or name another file")
    return text


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _read(file)


def _read(file: BinaryIO) -> bytes:
    """The whole file, or one byte more than the limit of `_text`."""
    return file.read(_MOST_BYTES + 1)


def _text(where: str, data: bytes) -> str:
    if len(data) > _MOST_BYTES:
        raise UsageError(
            f"{where} has more than {_MOST_BYTES >> 20} MiB, which exceeds every model's context",
            "cut out the part that matters",
        )
    if b"\0" in data:
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        how = ", for example: iconv -f utf-16 -t utf-8" if wide else " text first"
        raise UsageError(f"{where} is not a text file", f"convert it to UTF-8{how}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{where} is not UTF-8: byte {data[error.start]:#04x} at offset {error.start}",
            "convert it first, for example: iconv -f latin1 -t utf-8",
        ) from error
    return text.replace("\r\n", "\n")
