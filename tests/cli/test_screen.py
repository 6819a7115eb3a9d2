import io
import json
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from forethought.cli.progress import Progress
from forethought.cli.screen import Screen, has_colour
from forethought.contracts.records import Cost, Event, Exact, Kept, Run, Timing

ANSWER = ("The", " moon", ".")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run_document(**changes: Any) -> dict[str, Any]:
    values = {
        "answer": "The moon.",
        "recipe": "smollm2",
        "seed": 0,
        "finish": "stop",
        "cost": Cost(),
        "timing": Timing(),
        "exact": Exact(0, 0),
        "kept": Kept(0, 9, ()),
        "run": "3f9c",
    }
    return Run(**{**values, **changes}).document()


def events(**changes: Any) -> Generator[Event, None, None]:
    yield Event("note", {"text": "snapkv skipped"})
    yield Event("stage", {"name": "prefill", "seconds": 0.5})
    for text in ANSWER:
        yield Event("token", {"text": text, "candidate": 0})
    yield Event("done", {"run": run_document(**changes)})


def shown(run: Generator[Event, None, None] | None = None, **settings: Any) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    code = Screen(out, err, **settings).show(run or events())
    return out.getvalue(), err.getvalue(), code


def test_the_answer_alone_is_on_standard_output() -> None:
    out, err, code = shown()

    assert (out, code) == ("The moon.\n", 0)
    assert err.startswith("\n ")
    assert err.endswith(" recipe     smollm2 · seed 0 · run 3f9c\n")


def test_tokens_are_written_as_they_come() -> None:
    out, run = io.StringIO(), events()
    seen = []

    def watched() -> Generator[Event, None, None]:
        for event in run:
            seen.append(out.getvalue())
            yield event

    Screen(out, io.StringIO()).show(watched())

    assert seen == ["", "", "", "The", "The moon", "The moon."]


def test_an_answer_that_ends_its_line_gets_no_other() -> None:
    def run() -> Generator[Event, None, None]:
        yield Event("token", {"text": "Yes.\n"})
        yield Event("done", {"run": run_document(answer="Yes.\n")})

    assert shown(run())[0] == "Yes.\n"


def test_options_beside_the_recipe_are_shown_with_it() -> None:
    settings = {"temperature": 0.5}

    err = shown(events(settings=settings), beside={"system": "Be brief."})[1]

    assert " smollm2 --temperature 0.5 --system 'Be brief.' · seed 0" in err


def test_quiet_shows_nothing_but_the_answer() -> None:
    assert shown(quiet=True) == ("The moon.\n", "", 0)


def test_verbose_shows_stages_and_notes_as_they_come() -> None:
    err = shown(verbose=True)[1]

    assert err.startswith("note: snapkv skipped\nprefill 0.50 s\n\n")


def test_json_prints_the_document_alone() -> None:
    out, err, _ = shown(form="json")

    assert json.loads(out) == json.loads(json.dumps(run_document()))
    assert err == ""


def test_json_lines_print_every_event_on_its_line() -> None:
    out, err, _ = shown(form="jsonl")

    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["kind"] for line in lines] == ["note", "stage", "token", "token", "token", "done"]
    assert lines[3] == {"kind": "token", "data": {"text": " moon", "candidate": 0}}
    assert err == ""


def test_several_answers_come_one_after_another() -> None:
    answers = ({"text": "The moon."}, {"text": "The sun."})

    out = shown(events(candidates=answers, settings={"samples": 2}), streams=False)[0]

    assert out == "[1] The moon.\n[2] The sun.\n"


@pytest.mark.parametrize(
    ("finish", "code"), [("stop", 0), ("length", 0), ("budget", 3), ("interrupted", 130)]
)
def test_the_exit_code_says_how_it_ended(finish: str, code: int) -> None:
    assert shown(events(finish=finish))[2] == code


def test_an_interruption_while_showing_keeps_what_there_is() -> None:
    class Interrupted(io.StringIO):
        def flush(self) -> None:
            if self.getvalue() == "The moon" and not self.closed_once:
                self.closed_once = True
                raise KeyboardInterrupt

        closed_once = False

    def run() -> Generator[Event, None, None]:
        text = ""
        try:
            for part in ANSWER:
                text += part
                yield Event("token", {"text": part})
        except KeyboardInterrupt:
            yield Event("token", {"text": "!"})
            yield Event("done", {"run": run_document(answer=text + "!", finish="interrupted")})

    out, err = Interrupted(), io.StringIO()
    code = Screen(out, err).show(run())

    assert (out.getvalue(), code) == ("The moon!\n", 130)
    assert " ended      when it was interrupted\n" in err.getvalue()


def test_ctrl_c_under_the_panel_of_a_finished_run_is_an_interruption() -> None:
    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if " cost " in text:
                raise KeyboardInterrupt
            return super().write(text)

    def run() -> Generator[Event, None, None]:
        with suppress(KeyboardInterrupt):
            yield Event("done", {"run": run_document()})

    assert Screen(io.StringIO(), Interrupted()).show(run()) == 130


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert has_colour(Terminal())
    assert not has_colour(io.StringIO())

    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour(Terminal())


def test_progress_is_drawn_in_place_and_only_on_a_terminal() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        for done in (0, 50, 100):
            Progress(stream).show("fetching smollm2", done, 100)
    Progress(terminal, quiet=True).show("fetching smollm2", 1, 100)

    assert terminal.getvalue() == (
        "\r\x1b[Kfetching smollm2  0 %\r\x1b[Kfetching smollm2  50 %\r\x1b[K"
    )
    assert file.getvalue() == ""
