"""What reaches a terminal, and what reaches a pipe."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.cli.progress import Progress
from forethought.cli.screen import Screen
from forethought.cli.terminal import columns, report, report_json, write
from forethought.contracts.records import Event
from forethought.reports.terminal.printable import CONTROLS
from tests.cli.test_screen import Terminal, run_document

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

HOSTILE = {
    "title of the window": "\x1b]0;owned\x07",
    "cleared screen": "\x1b[2J\x1b[H",
    "cursor upwards": "\x1b[3A",
    "colour": "\x1b[31mred\x1b[0m",
    "bold": "\x1b[1mbold\x1b[0m",
    "C1": "\x9b2J\x9d0;x\x9c",
    "overwritten line": "safe\rharm",
    "backspaces": "safe\b\b\b\bharm",
    "bell and delete": "\x07\x7f",
    "reversed letters": "\u202egnp.exe\u2066",
    "half a character": "\udcff",
}
OWN = re.compile(r"\x1b\[[012]m")


def left(shown: str) -> list[str]:
    """What a terminal would obey, but the styles of our own that begin and end lines."""
    return re.findall(CONTROLS, OWN.sub("", shown))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_data_is_escaped_on_a_terminal_and_raw_in_a_pipe(text: str) -> None:
    terminal, pipe = Terminal(), io.StringIO()

    write(terminal, f"a\t{text}\r\nb\n")
    write(pipe, text)

    assert pipe.getvalue() == text
    assert re.findall(CONTROLS, terminal.getvalue()) == []
    assert terminal.getvalue().startswith("a\t")
    assert terminal.getvalue().endswith("\nb\n")


def test_an_escape_is_shown_as_its_number() -> None:
    terminal = Terminal()

    write(terminal, "\x1b[2J \x9b \u202e")

    assert terminal.getvalue() == "\\x1b[2J \\x9b \\u202e"


def test_letters_of_all_languages_stay_as_they_are() -> None:
    text = "naïve שלום 日本 👩‍👩‍👧 العربية\u200f"
    terminal = Terminal()

    write(terminal, text)

    assert terminal.getvalue() == text


def test_a_sequence_in_pieces_is_escaped_too() -> None:
    out = Terminal()

    def events():
        for piece in ("\x1b", "]0;", "x", "\x07", "\x1b[", "2J"):
            yield Event("token", {"text": piece})
        yield Event("done", {"run": run_document(answer="\x1b]0;x\x07\x1b[2J")})

    Screen(out, io.StringIO()).show(events())

    assert out.getvalue() == "\\x1b]0;x\\x07\\x1b[2J\n"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_of_a_run_moves_the_cursor(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out, err = Terminal(), Terminal()
    one = {"path": [0], "text": f"x {text} y", "score": 0.5, "weight": 1.0, "tokens": 3,
           "chosen": True, "pruned": False, "writer": text}  # fmt: skip
    run = run_document(
        answer=text,
        recipe=f"model{text}@beam",
        notes=(f"a note {text}",),
        candidates=(one, {**one, "path": [1], "chosen": False}),
        settings={"stop": (text,)},
    )

    def events():
        yield Event("note", {"text": text})
        yield Event("done", {"run": run})

    Screen(out, err, streams=False, verbose=True, beside={"system": text}).show(events())

    assert left(out.getvalue() + err.getvalue()) == []
    # Of styles there are those of the panel's own lines alone.
    lines = err.getvalue().split("\n\n", 1)[1].splitlines()
    assert all(OWN.findall(line) == ["\x1b[2m", "\x1b[0m"] for line in lines)


def test_progress_shows_no_name_that_moves_the_cursor() -> None:
    terminal = Terminal()

    Progress(terminal).show("fetching \x1b[2J\r", 1, 2)

    assert terminal.getvalue() == "\r\x1b[Kfetching \\x1b[2J\\x0d  50 %"


def test_reports_keep_their_styles_and_nothing_else() -> None:
    terminal, pipe = Terminal(), io.StringIO()

    report("\x1b[1mname\x1b[0m \x1b[31m", terminal)
    report("\x1b[1mname\x1b[0m \x1b[31m", pipe)

    assert terminal.getvalue() == "\x1b[1mname\x1b[0m \\x1b[31m\n"
    assert pipe.getvalue() == "\x1b[1mname\x1b[0m \x1b[31m\n"


class Narrow(io.TextIOWrapper):
    """A stream of another encoding, as a redirect has it."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="")

    @property
    def written(self) -> bytes:
        return self.buffer.getvalue()  # type: ignore[attr-defined]


VALUE = {"text": "\x1b \x9b \u202e é 日 😀 \udcff", "n": [1, "\n"]}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_json_is_the_same_json_in_every_encoding(encoding: str) -> None:
    stream = Narrow(encoding)

    report_json(json.dumps(VALUE, ensure_ascii=False, indent=1), stream)

    assert json.loads(stream.written.decode(encoding)) == VALUE


def test_json_is_the_same_json_on_a_terminal() -> None:
    terminal = Terminal()

    report_json(json.dumps(VALUE, ensure_ascii=False), terminal)

    assert json.loads(terminal.getvalue()) == VALUE
    assert re.findall(CONTROLS, terminal.getvalue()) == []
    assert "é 日 😀" in terminal.getvalue()


def on_terminal(arguments: list[str], width: int, **streams: object) -> tuple[str, bytes]:
    """What a command shows on a terminal of that width, and what it writes into a pipe."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    done = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        env=environment | {"TERM": "xterm"},
        **{"stdout": theirs, "stderr": theirs} | streams,  # type: ignore[call-overload]
    )
    os.close(theirs)
    piped = done.stdout.read() if done.stdout else b""
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # a terminal that its last program left
        pass
    os.close(ours)
    done.wait()
    if done.stdout:
        done.stdout.close()
    return shown.decode(), piped


def test_errors_show_names_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J"
    for arguments in (
        ["hi", "-f", f"{tmp_path}/{hostile}"],
        ["hi", f"--{hostile}"],
        ["hi", "-x", hostile],
        ["show", hostile],
        ["pull", f"./{hostile}.gguf"],
        ["evaluate", "-t", "addition", "-o", f"{hostile}.txt"],
    ):
        shown, _ = on_terminal(["-m", "forethought", *arguments], 80)
        assert "error: " in shown
        assert left(shown.replace("\r\x1b[K", "")) == [], arguments
        assert "\\x1b" in shown, arguments


WIDE = """
import sys
from tests.cli.test_screen import events
from forethought.cli.screen import Screen
Screen(sys.stdout, sys.stderr).show(events(notes=("word " * 60,)))
"""


@pytest.mark.parametrize("width", [60, 150])
def test_the_panel_is_as_wide_as_its_terminal_wherever_the_answer_goes(width: int) -> None:
    shown, piped = on_terminal(["-c", WIDE], width, stdout=subprocess.PIPE)

    lines = [OWN.sub("", line) for line in shown.splitlines()]
    assert piped == b"The moon.\n"
    assert width - 10 < max(map(len, lines)) <= width


def test_a_stated_width_is_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "33")
    assert columns(Terminal()) == 33
    assert columns(io.StringIO()) == 100

    monkeypatch.setenv("COLUMNS", "many")
    assert columns(Terminal()) == 80
