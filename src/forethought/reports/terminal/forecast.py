"""A forecast as terminal text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import Curve, Forecast
from forethought.reports.forecast_tables import Shown, caveats, finding, tables, widths
from forethought.reports.markdown import plain, table
from forethought.reports.terminal.printable import printable

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_LEFT = {"best recipe", "bin", "evidence"}
_COLUMNS = (
    "recipe", "task", "questions", "answers", "choice", "foreseen",
    "score", "score_low", "score_high", "tokens", "flops",
)  # fmt: skip


def forecast_text(found: Forecast, *, width: int, colour: bool) -> str:
    """Tables with their notes, wrapped to `width` between words."""
    blocks = [_wrapped(finding(found), width)]
    for shown in tables(found):
        blocks.append("\n".join(_lines(shown, width, colour)))
        blocks.append(_dim("\n".join(_wrapped(note, width) for note in shown.notes), colour))
    blocks.append(_dim("\n".join(_wrapped(one, width) for one in caveats(found)), colour))
    return "\n\n".join(blocks)


def forecast_markdown(found: Forecast) -> str:
    """The forecast as Markdown."""
    blocks = [plain(finding(found))]
    for shown in tables(found):
        blocks += [f"### {plain(shown.title)}", plain(shown.context), _table(shown)]
        blocks += [plain(note) for note in shown.notes]
    return "\n\n".join([*blocks, *map(plain, caveats(found))]) + "\n"


def forecast_csv(found: Forecast) -> str:
    """A row for each recipe, task, number of answers and way to choose an answer."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for one in found.curves:
        writer.writerows(_records(one))
    return out.getvalue()


def _records(one: Curve) -> Iterator[list[str]]:
    def record(
        answers: int, choice: str, score: Interval, tokens: float, flops: float, foreseen: int = 0
    ) -> list[str]:
        values = (score.value, score.low, score.high, tokens, flops)
        fields = [one.recipe, one.task, one.questions, answers, choice, foreseen]
        return [*map(str, fields), *(repr(float(value)) for value in values)]

    for row in one.reached:
        scored = (row.tokens + row.scoring_tokens, row.flops + row.scoring_flops)
        yield record(row.answers, "random", one.random, row.tokens, row.flops)
        yield record(row.answers, "vote", row.vote, row.tokens, row.flops)
        if row.likely:
            yield record(row.answers, "likelihood", row.likely, row.tokens, row.flops)
        if row.scored:
            yield record(row.answers, one.scorer, row.scored, *scored)
        yield record(row.answers, "oracle", row.oracle, row.tokens, row.flops)
    for further in one.further:
        yield record(further.answers, "vote", further.vote, further.tokens, further.flops, 1)
        yield record(further.answers, "oracle", further.oracle, further.tokens, further.flops, 1)
    for name, choice in one.choices.items():
        kind = "likelihood" if name == "likely" else one.scorer
        for further, score in zip(one.further, choice.scores, strict=True):
            yield record(further.answers, kind, score, further.tokens, further.flops, 1)
    for ahead in one.law.ahead if one.law else ():
        yield record(ahead.answers, "power law", ahead.oracle, ahead.tokens, ahead.flops, 1)


def _lines(shown: Shown, width: int, colour: bool) -> Iterator[str]:
    title = _wrapped(shown.title, width)
    yield f"{_BOLD}{title}{_RESET}" if colour else title
    yield _wrapped(shown.context, width)
    rows = [[printable(cell) for cell in row] for row in (shown.heading, *shown.rows)]
    sizes = widths(rows)
    for place, row in enumerate(rows):
        cells = [
            f"{cell:<{size}}" if head in _LEFT else f"{cell:>{size}}"
            for cell, size, head in zip(row, sizes, shown.heading, strict=True)
        ]
        line = "  ".join(cells).rstrip()
        yield f"{_BOLD}{line}{_RESET}" if colour and not place else line


def _table(shown: Shown) -> str:
    rule = [":---" if head in _LEFT else "---:" for head in shown.heading]
    return table(map(plain, shown.heading), rule, (map(plain, row) for row in shown.rows))


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(
        printable(text), max(width, 20), break_on_hyphens=False, break_long_words=False
    )


def _dim(text: str, colour: bool) -> str:
    return f"{_DIM}{text}{_RESET}" if colour and text else text
