import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.cli.main import VERBS, with_verb
from forethought.reports.terminal import table

QUICK = [["--help"], ["list"], ["list", "models"], ["show", "specpc"], ["list", "--json"]]


def forethought(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with nothing piped in."""
    settings = {"stdin": subprocess.DEVNULL, **settings}
    command = [sys.executable, "-m", "forethought", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **settings)  # type: ignore[call-overload]


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_quick_verbs_import_no_heavy_library(arguments: list[str]) -> None:
    code = (
        "import sys; from forethought.cli.main import exit_code\n"
        f"assert exit_code({arguments}) == 0\n"
        "print({'torch', 'numpy', 'transformers', 'rich'} & set(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stderr == "set()\n"


def test_an_answer_waits_for_no_compiler_and_no_converter() -> None:
    code = (
        "import sys, forethought.sessions.ask\n"
        "print({'torch._dynamo', 'sympy', 'transformers'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout == "set()\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_what_cannot_be_printed_is_an_error_that_says_so() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "forethought", "list", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)

    assert "No space left on device" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_a_question_needs_no_verb() -> None:
    assert with_verb(["What is an eclipse?"]) == ["ask", "What is an eclipse?"]
    assert with_verb(["-m", "smollm2", "Why?"]) == ["ask", "-m", "smollm2", "Why?"]
    assert with_verb(["--", "list"]) == ["ask", "--", "list"]


@pytest.mark.parametrize("first", [*VERBS, "--help", "-h", "--version"])
def test_verbs_and_flags_of_the_command_itself_stay_as_they_are(first: str) -> None:
    assert with_verb([first, "x"]) == [first, "x"]


def test_help_names_every_verb() -> None:
    done = forethought()

    assert done.returncode == 0
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


def test_the_version_is_that_of_the_package() -> None:
    assert forethought("--version").stdout == f"forethought {metadata.version('forethought')}\n"


def test_list_shows_every_method_under_its_family() -> None:
    lines = forethought("list").stdout.splitlines()

    for entry in catalogue.entries().values():
        assert entry.family in lines
        assert any(line.startswith(f"  {entry.name} ") for line in lines)


def test_list_narrows_to_one_family() -> None:
    lines = forethought("list", "prompt_compression").stdout.splitlines()

    assert lines[0] == "prompt-compression"
    assert "kv-eviction" not in lines


def test_list_models_names_those_that_need_no_hub() -> None:
    shown = forethought("list", "models").stdout

    assert "\n  smollm2 " in shown
    assert "\n  qwen-coder-1.5b " in shown


def test_list_and_show_are_machine_readable() -> None:
    listed = json.loads(forethought("list", "--json").stdout)
    shown = json.loads(forethought("show", "specpc", "--json").stdout)

    assert shown in listed["prompt-compression"]
    assert shown["parameters"][0]["name"] == "keep"
    assert Path(shown["path"]).name == "specpc.py"


@pytest.mark.parametrize(
    ("kind", "option"),
    [("methods", "-x"), ("strategies", "-s"), ("scorers", "(?:--scorer|--confidence)")],
)
def test_an_example_is_a_spelling_that_builds(kind: catalogue.Kind, option: str) -> None:
    for name, entry in catalogue.entries(kind).items():
        shown = table.method(entry, width=200, colour=False)
        mark = "(?:-s |-x |@)" if "Example" in entry.notes else f" {option} "
        found = re.search(rf"{mark}(?:'([^']*)'|([^\s']+))", shown.split("Example")[1])
        assert found, shown
        if '"FILE' not in shown:  # what needs a file of its own cannot be built from nothing
            built = catalogue.build(found[1] or found[2], kind)
            assert catalogue.spelled(built).partition("(")[0] == name
            if kind == "strategies" and "plan=" not in shown:  # a plan says what it needs
                assert (" --scorer " in shown) == built.scores, name


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["compare", "snapkv", "-m", "smollm2@beam", "-t", "addition"],
            "error: --model names the search beam, which this verb does not run\n\n"
            "hint: name strategies as recipes, and leave --model a model and its methods\n",
        ),
        (
            ["show", "snap-kv"],
            "error: no method is called 'snap-kv'\n\n"
            "hint: did you mean snapkv or ada-snapkv or speckv?\n",
        ),
        (
            ["list", "prompt"],
            "error: no family is called 'prompt'\n\n"
            "hint: known: contextual-sparsity, drafting, kv-eviction, kv-quantisation, ",
        ),
        (
            ["Why?", "--seeed", "1"],
            "error: no such option: --seeed",
        ),
        (
            ["What", "is", "it?"],
            "error: got unexpected extra argument",
        ),
        (
            ["Why?", "--json", "--jsonl"],
            "error: --json and --jsonl exclude each other\n\nhint: choose one of them\n",
        ),
        (
            ["Why?", "--temperature", "3"],
            "error: --temperature 3.0 must be 0 to 2\n\nhint: see: forethought ask --help\n",
        ),
        (
            ["Why?", "-x", "specpc(keep=0)"],
            "error: specpc: keep=0 must be at least 1 (or a share such as 0.25)\n\n"
            "hint: see: forethought show specpc\n",
        ),
        (
            ["Why?", "--budget", "plenty"],
            "error: the budget 'plenty' is not an amount\n\n"
            "hint: write it like 500tok, 2s, 1TFLOP or $0.01, joined by commas\n",
        ),
        (
            ["Why?", "-f", "absent.md"],
            "error: cannot read absent.md: No such file or directory\n\n"
            "hint: -f takes a text file, or - for standard input\n",
        ),
        (
            ["ask"],
            'error: no question was asked\n\nhint: for example: forethought "Why?" -f notes.md\n',
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_an_error_and_a_hint(arguments: list[str], error: str) -> None:
    done = forethought(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(error)
    assert "\n\nhint: " in done.stderr


def test_an_error_shows_where_it_arose_only_when_asked() -> None:
    assert "Traceback" not in forethought("Why?", "-x", "snap").stderr
    assert "Traceback" in forethought("Why?", "-x", "snap", "-v").stderr


def test_a_reader_that_leaves_early_ends_the_command_quietly() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)

    done = subprocess.run(
        [sys.executable, "-m", "forethought", "list"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write_end)

    assert done.returncode != 0
    assert done.stderr == ""


def test_a_terminal_without_the_letters_still_gets_the_text() -> None:
    done = forethought("show", "specpc", env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0
    assert done.stdout.startswith("specpc \\xb7 prompt-compression\n")


def test_streams_that_the_shell_closed_do_no_harm() -> None:
    line = f"{sys.executable} -m forethought"

    read = subprocess.run(f"{line} hi -f - <&-", shell=True, capture_output=True, text=True)
    unseen = subprocess.run(f"{line} list >&-", shell=True, capture_output=True, text=True)

    assert (read.returncode, "standard input is empty" in read.stderr) == (2, True)
    assert (unseen.returncode, unseen.stderr) == (0, "")


@pytest.mark.parametrize("flag", [["--seed", "1.5"], ["--threads", "100000"]])
def test_a_wrong_value_is_not_taken_for_an_unquoted_question(flag: list[str]) -> None:
    done = forethought("hi", *flag)

    assert done.returncode == 2
    assert "quote the question" not in done.stderr
    assert "quote the question" in forethought("hi", "there").stderr


def joined(folder: Path) -> dict[str, str]:
    """Settings under which a package with a task joins, whose summary is in several scripts."""
    task = folder / "acme/tasks/quiz/easy.py"
    task.parent.mkdir(parents=True)
    task.write_text('"""Prüft, 日本 · 😀."""\n\n\nclass Easy: ...\n', encoding="utf-8")
    record = folder / "acme-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[forethought.tasks]\nacme = acme.tasks\n")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "latin-1"])
def test_no_letter_is_lost_in_another_encoding(encoding: str, tmp_path: Path) -> None:
    settings = {"env": {**joined(tmp_path), "PYTHONIOENCODING": encoding}, "encoding": encoding}

    (task,) = json.loads(forethought("list", "quiz", "--json", **settings).stdout)["quiz"]
    shown = forethought("list", "quiz", **settings).stdout

    whole = "Prüft, 日本 · 😀."
    assert task["summary"] == whole
    assert whole.encode(encoding, "backslashreplace").decode(encoding) in shown


@pytest.mark.parametrize(
    "arguments", [["a\udcffb"], ["hi", "--stop", "\udcff"], ["hi", "--system", "\udcff"],
                  ["hi", "--then", "\udcff"], ["compress", "\udcff", "-f", __file__]],
)  # fmt: skip
def test_a_text_in_another_encoding_is_refused(arguments: list[str]) -> None:
    done = forethought(*arguments)

    assert done.returncode == 2
    assert " is not UTF-8: '\\udcff' at offset " in done.stderr
    assert "iconv" in done.stderr
