import io
import os
import sys
from pathlib import Path

import pytest

from forethought.cli.inputs import AskInput, asked
from forethought.contracts.errors import UsageError


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch):
    """Puts bytes behind standard input, as a pipe does."""
    opened = []

    def fill(data: bytes) -> None:
        read_end, write_end = os.pipe()
        os.write(write_end, data)
        os.close(write_end)
        opened.append(os.fdopen(read_end))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield fill
    for stream in opened:
        stream.close()


@pytest.fixture(autouse=True)
def no_pipe(monkeypatch: pytest.MonkeyPatch):
    """Standard input that is a device, as in a job without a terminal."""
    with open(os.devnull) as device:
        monkeypatch.setattr(sys, "stdin", device)
        yield


def test_files_are_joined_by_a_blank_line(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf# One\r\n")
    (tmp_path / "b.py").write_text("two = 2")

    found = asked("Why?", [str(tmp_path / "a.md"), str(tmp_path / "b.py")])

    assert found == AskInput("Why?", "# One\n\n\ntwo = 2")


def test_what_is_piped_in_is_the_document_of_a_question(pipe) -> None:
    pipe(b"A long text.")

    assert asked("Why?", []) == AskInput("Why?", "A long text.")


def test_what_is_piped_in_is_the_question_when_there_is_none(pipe, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Text.")
    pipe(b"Why?\n")

    assert asked(None, [str(tmp_path / "a.md")]) == AskInput("Why?", "Text.")


def test_a_dash_names_standard_input_among_files(pipe, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Text.")
    pipe(b"Piped.")

    assert asked("Why?", [str(tmp_path / "a.md"), "-"]) == AskInput("Why?", "Text.\n\nPiped.")


def test_what_is_piped_in_is_left_alone_when_a_file_is_named(pipe, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Text.")
    pipe(b"Not read.")

    assert asked("Why?", [str(tmp_path / "a.md")]) == AskInput("Why?", "Text.")
    assert sys.stdin.read() == "Not read."


def test_an_empty_pipe_is_no_document(pipe) -> None:
    pipe(b"")

    assert asked("Why?", []) == AskInput("Why?", "")


def test_without_a_pipe_a_question_stands_alone() -> None:
    assert asked("Why?", []) == AskInput("Why?", "")


def test_a_closed_standard_input_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert asked("Why?", []) == AskInput("Why?", "")


def test_a_replaced_standard_input_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("text"))

    assert asked("Why?", []) == AskInput("Why?", "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"%PDF-1.7\0\1", "is not a text file"),
        ("Ä".encode("latin-1"), "is not UTF-8: byte 0xc4 at offset 0"),
        ("text".encode("utf-16"), "is not a text file"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "odd"
    path.write_bytes(data)

    with pytest.raises(UsageError) as caught:
        asked("Why?", [str(path)])

    assert f"{path} {message}" in caught.value.message
    assert caught.value.hint


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        asked("Why?", [str(tmp_path / "absent")])
    with pytest.raises(UsageError, match="Is a directory"):
        asked("Why?", [str(tmp_path)])


def test_a_missing_question_is_refused(pipe) -> None:
    with pytest.raises(UsageError, match="no question was asked"):
        asked(None, [])
    with pytest.raises(UsageError, match="the question is empty"):
        asked(" ", [])
    pipe(b"\n")
    with pytest.raises(UsageError, match="no question was asked"):
        asked(None, [])


def test_standard_input_is_not_read_twice() -> None:
    with pytest.raises(UsageError, match="read twice"):
        asked("Why?", ["-", "-"])
    with pytest.raises(UsageError, match="read twice"):
        asked(None, ["-"])


def test_a_source_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="/dev/zero has more than 16 MiB"):
        asked("Why?", ["/dev/zero"])


def test_wide_characters_are_named_as_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "wide.txt"
    path.write_bytes("Text.".encode("utf-16"))

    with pytest.raises(UsageError) as caught:
        asked("Why?", [str(path)])

    assert caught.value.hint == "convert it to UTF-8, for example: iconv -f utf-16 -t utf-8"
