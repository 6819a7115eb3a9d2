"""Cost against context length: seconds to the first token, FLOPs, KV-cache bytes and peak memory.

    python benchmarks/cost_curves.py qwen-coder-1.5b --draft qwen-coder-0.5b \\
        --tokens 2048 4096 8192 16384 32768

The recipes are the exact run and one of each family; `--recipes` replaces them. In a recipe,
`{draft}` stands for `--draft` and `{keep}` for `--keep`. A length is that of the whole context: the
prompt, and 128 tokens for a look-ahead and an answer. The model decodes one token.

Each point runs in a process of its own, after a short prompt that warms it up, and is appended to
a file of JSON lines. A point that the file has is not measured again, so an interrupted command
resumes when it is repeated. A prompt that a model cannot take is a point with its reason. A point
whose process fails is not stored, and the exit code is then 1. Points on other hardware stay in
the file and out of the tables; `--stored` names a hardware of the file, and shows its points
without a measurement. After a change of the code, name another file by `--results`.

The tables hold the points and the growth exponents: the slope of log cost against log prompt
length by least squares, with the lowest and highest slope between neighbouring lengths.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cost_curves_chart import chart
from cost_growth import COLUMNS, EXPONENT_COLUMNS, cells, exponents
from forethought.contracts import spelling
from forethought.contracts.errors import ForethoughtError
from forethought.recipes.identity import revisions
from forethought.recipes.recipe import Recipe
from report import hardware, publish

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cost-curves.jsonl"
DRAWING = ROOT / "docs" / "cost-curves.svg"
POINT = Path(__file__).parent / "cost_point.py"
RECIPES = (
    "",
    "{draft}specpc(keep={keep})",
    "{draft}specpc-shallow(keep={keep})",
    "{draft}specpc-fused(keep={keep})",
    "{draft}spec-prefill(keep={keep})",
    "{draft}speckv(keep={keep},lookahead=64)",
    "snapkv(keep={keep})",
    "flash-prefill",
    "{draft}specpc(keep={keep})+flash-prefill(applies_to=draft)",
    "quantised-kv",
)
KEY = ("recipe", "revisions", "tokens", "rounds", "hardware")


def main() -> int:
    """Measure the points that are missing; then print the tables and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--draft", default="self", help="the draft of the recipes that need one")
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 4096, 8192, 16384, 32768])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), help='"" is the exact run')
    parser.add_argument("--keep", default="1024", help="the budget of the recipes")
    parser.add_argument("--rounds", type=int, default=1, help="prompts whose median is a point")
    parser.add_argument("--text", type=Path, help="a file to take the prompts from")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--drawing", type=Path, default=DRAWING)
    parser.add_argument("--stored", metavar="HARDWARE", help="show the points of this hardware")
    parser.add_argument("--log", action="store_true", help="append the tables to docs/lab-log.md")
    options = parser.parse_args()
    try:
        wanted = list(points(options))
    except ForethoughtError as error:
        parser.error(f"{error}; {error.hint}")
    failed = [point for point in wanted if not options.stored and not measured(point, options)]
    report(wanted, options)
    return 1 if failed else 0


def points(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The keys of all points, shorter prompts first."""
    named = "" if options.draft == "self" else f"draft({spelling.quoted(options.draft)})+"
    filled = [one.format(draft=named, keep=options.keep) for one in options.recipes]
    model, machine = spelling.quoted(options.model), options.stored or hardware()
    recipes = [Recipe.parse("+".join(filter(None, (model, one)))).spelling for one in filled]
    for tokens in sorted(set(options.tokens)):
        for recipe in dict.fromkeys(recipes):
            key = (recipe, revisions(recipe), tokens, options.rounds, machine)
            yield dict(zip(KEY, key, strict=True))


def measured(point: dict[str, Any], options: argparse.Namespace) -> bool:
    """Whether the file has the point, after a measurement if it was missing."""
    if key(point) in stored(options.results):
        return True
    text = [] if options.text is None else ["--text", str(options.text)]
    command = [sys.executable, str(POINT), json.dumps(point), *text]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        name = f"{point['recipe']} at {point['tokens']:,} tokens"
        print(f"{name}: its process ended with {ended.returncode}", file=sys.stderr)
        return False
    append(options.results, {**point, **json.loads(ended.stdout)})
    return True


def key(point: dict[str, Any]) -> tuple[Any, ...]:
    """The settings and the hardware of a point."""
    return tuple(point[name] for name in KEY)


def stored(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The points of a file by their keys; a last line that an interruption cut does not count."""
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return {key(point): point for point in whole}


def append(path: Path, point: dict[str, Any]) -> None:
    """Add a point to a file, in place of a last line that an interruption cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(point).encode() + b"\n")


def report(wanted: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Print the tables of the stored points, and draw their curves."""
    known = stored(options.results)
    rows = [known[key(point)] for point in wanted if key(point) in known]
    title = f"cost against context length, {options.model}"
    publish(title, COLUMNS, cells(rows), options.log)
    publish(f"growth exponents, {options.model}", EXPONENT_COLUMNS, exponents(rows), options.log)
    if any("skipped" not in row for row in rows):
        options.drawing.write_text(chart(rows))


if __name__ == "__main__":
    sys.exit(main())
