"""Step tasks solved from their text, by other means than the tasks' own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise, permutations, product
from typing import Any

from forethought import catalogue
from forethought.contracts.questions import Question

NAMES = [entry.name for entry in catalogue.families("tasks")["steps"]]


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


def put(question: Question) -> str:
    """What is asked, without what is told of the form."""
    return question.text.rpartition("\n\nNow ")[2]


def example(question: Question) -> tuple[str, str]:
    """The question of the worked example, and its answer."""
    told = question.text.partition("\n\nExample: ")[2].partition("\n\nNow ")[0]
    problem, _, answer = told.partition("\n")
    return problem, answer


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def sum_of(text: str) -> list[str]:
    first, second = numbers(text)
    lines, carry = [], 0
    for place in range(len(str(first))):
        one, other = first // 10**place % 10, second // 10**place % 10
        below = 10**place
        assert carry == (first % below + second % below) // below
        whole = one + other + carry
        out = (first + second) // 10**place % 10
        lines.append(f"{one} + {other} + {carry} = {whole}, write {out}, carry {whole > 9:d}")
        carry = int(whole > 9)
    return [*lines, f"Answer: {first + second}"]


def product_of(text: str) -> list[str]:
    first, second = numbers(text)
    lines = []
    for place, digit in enumerate(reversed(str(second))):
        part = int(digit + "0" * place)
        so_far = first * (second % 10 ** (place + 1))
        lines.append(f"{first} * {part} = {first * part}, total {so_far}")
    return [*lines, f"Answer: {first * second}"]


def still_open(row: str) -> str:
    """What is left of brackets when all that match are crossed out."""
    while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", row)) != row:
        row = shorter
    return row


def reading_of(text: str) -> list[str]:
    row = re.sub(r"[^][(){}<>]", "", text)
    lines = [
        f"read {bracket} open {' '.join(still_open(row[: place + 1])) or 'none'}"
        for place, bracket in enumerate(row)
    ]
    closing = still_open(row)[::-1].translate(str.maketrans("([{<", ")]}>"))
    return [*lines, f"Answer: {' '.join(closing) or 'none'}"]


def graph_of(text: str) -> tuple[list[list[int]], int, int]:
    arrows = [numbers(found) for found in re.findall(r"\d+ -> \d+", text)]
    start, goal = numbers(text.partition("The start")[2])
    return arrows, start, goal


def ways(arrows: list[list[int]], start: int, goal: int) -> list[list[int]]:
    if start == goal:
        return [[goal]]
    onward = [other for one, other in arrows if one == start]
    return [[start, *rest] for point in onward for rest in ways(arrows, point, goal)]


def way_of(text: str) -> list[str]:
    (way,) = ways(*graph_of(text))
    steps = [f"{one} -> {other}" for one, other in pairwise(way)]
    return [*steps, f"Answer: {' -> '.join(map(str, way))}"]


def makings(left: list[tuple[Fraction, str]], steps: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Steps and answers of all ways to 24, each number with the expression that made it."""
    if len(left) == 1:
        if left[0][0] == 24:
            yield [*steps, f"Answer: {left[0][1]}"]
        return
    for (a, said_a), (b, said_b), *rest in permutations(left):
        for sign in "+-*/" if b else "+-*":
            made = {"+": a + b, "-": a - b, "*": a * b}.get(sign) if sign != "/" else a / b
            after = [*rest, (made, f"({said_a} {sign} {said_b})")]
            step = f"{a} {sign} {b} = {made} (left: {' '.join(str(one) for one, _ in after)})"
            yield from makings(after, (*steps, step))


def game_of(text: str) -> list[str]:
    return next(makings(named(numbers(text)[-4:])))


def named(left: Iterable[int | Fraction]) -> list[tuple[Fraction, str]]:
    return [(Fraction(one), str(one)) for one in left]


def formula_of(text: str) -> tuple[int, list[list[tuple[int, bool]]]]:
    told = [re.findall(r"(not )?x(\d+)", clause) for clause in re.findall(r"\((.*?)\)", text)]
    clauses = [[(int(number), not negated) for negated, number in clause] for clause in told]
    return max(numbers(text.partition("The clauses")[0])), clauses


def models(text: str) -> list[dict[int, bool]]:
    count, clauses = formula_of(text)
    every = [dict(enumerate(values, 1)) for values in product([True, False], repeat=count)]
    return [
        model
        for model in every
        if all(any(model[one] == value for one, value in clause) for clause in clauses)
    ]


def values_of(text: str) -> list[str]:
    model = models(text)[-1]
    steps = [f"x{one} = {str(value).lower()}" for one, value in reversed(model.items())]
    return [*steps, f"Answer: {', '.join(reversed(steps))}"]


SOLVE = {
    "addition": sum_of,
    "multiplication": product_of,
    "brackets": reading_of,
    "graph-path": way_of,
    "game-24": game_of,
    "small-sat": values_of,
}
