from dataclasses import replace
from pathlib import Path

from forethought.catalogue import Entry, Parameter
from forethought.reports.terminal import table

SHINE = Entry(
    name="shine-on",
    family="cache-care",
    summary="Keep what shines, drop the rest.",
    notes={"Paper": "arXiv:0000.00000", "Exact": "at keep=1.0.", "Cost": "none."},
    parameters=(
        Parameter("keep", "a whole number, or a share such as 0.25", "512", "Entries kept."),
        Parameter("pool", "max or mean", "max", "How scores are pooled."),
    ),
    module="acme.methods.cache_care.shine_on",
    class_name="Shine",
    path=Path("/acme/shine_on.py"),
    line=20,
)


def test_names_stand_beside_what_is_said_of_them() -> None:
    rows = {"cache": [("a", "One."), ("bcd", "A line that is wrapped at its width.")], "none": []}

    assert table.groups(rows, width=30, colour=False) == (
        "cache\n  a    One.\n  bcd  A line that is wrapped\n       at its width.\n\nnone\n"
    )


def test_headings_are_bold_in_colour() -> None:
    assert table.groups({"cache": [("a", "One.")]}, width=30, colour=True) == (
        "\x1b[1mcache\x1b[0m\n  a  One."
    )


def test_a_method_is_shown_with_its_record_parameters_and_an_example() -> None:
    assert table.method(SHINE, width=90, colour=False) == (
        "shine-on · cache-care\n"
        "Keep what shines, drop the rest.\n"
        "\n"
        "Paper    arXiv:0000.00000\n"
        "Exact    at keep=1.0.\n"
        "Cost     none.\n"
        "Source   /acme/shine_on.py:20\n"
        "Example  forethought \"Who signed it?\" -f contract.txt -x 'shine-on(keep=512)'\n"
        "\n"
        "Parameters\n"
        "  keep=512  Entries kept. (a whole number, or a share such as 0.25)\n"
        "  pool=max  How scores are pooled. (max or mean)"
    )


def test_an_example_fills_in_what_must_be_given_by_what_it_is() -> None:
    judge = replace(
        SHINE,
        name="judge",
        family="scoring",
        parameters=(
            Parameter("server", "text", "", "A server."),
            Parameter("path", "text", "", ""),
        ),
    )

    shown = " ".join(table.method(judge, width=90, colour=False).split())

    example = 'judge(server="http://127.0.0.1:8000/v1#name", path="FILE.jsonl")'
    assert f"--scorer '{example}'" in shown
