"""The move checkers, searched in full at small sizes, and by known solutions at large ones."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.tasks.puzzles._moves import Move, moves, moves_so_far
from forethought.tasks.puzzles._puzzle import Position, replay
from forethought.tasks.puzzles.checkers import solution

NAMES = [entry.name for entry in catalogue.families("tasks")["puzzles"]]
SMALL = [
    *(f"tower(size={size})" for size in range(1, 6)),
    *(f"checkers(size={size})" for size in range(1, 5)),
    *(f"blocks(size={size})" for size in range(2, 7)),
    *(f"river(size={size}, boat={boat})" for size, boat in (
        (1, 2), (2, 2), (3, 2), (2, 3), (3, 3), (4, 3), (5, 3), (2, 4), (3, 4), (4, 4), (5, 4)
    )),
]  # fmt: skip
UNSOLVABLE = ["size=4, boat=2", "size=5, boat=2", "size=6, boat=3", "size=1, boat=1"]


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


def start_of(task: Any, question: Question) -> Position:
    return task.start(tuple(question.data["labels"]))


def conceivable(name: str, size: int, labels: Iterable[str], boat: int = 0) -> list[Move]:
    """Everything that has the form of a move."""
    if name == "river":
        people = [*labels, *(one.upper() for one in labels)]
        return [group for count in range(1, boat + 1) for group in combinations(people, count)]
    things = [str(disk) for disk in range(1, size + 1)] if name == "tower" else [*labels]
    places = range(2 * size + 1 if name == "checkers" else 3)
    return [(thing, str(a), str(b)) for thing in things for a, b in permutations(places, 2)]


def shortest(start: Position, tried: list[Move]) -> list[Move] | None:
    """Breadth-first search by the checker alone."""
    ways: dict[Position, list[Move]] = {start: []}
    queue = deque([start])
    while queue:
        place = queue.popleft()
        if place.solved:
            return ways[place]
        for move in tried:
            if not place.fault(move) and (after := place.after(move)) not in ways:
                ways[after] = [*ways[place], move]
                queue.append(after)
    return None


def solved(spelling: str) -> tuple[Any, Question, list[Move]]:
    task, (question,) = asked(spelling)
    boat = task.boat if spelling.startswith("river") else 0
    name = spelling.partition("(")[0]
    tried = conceivable(name, task.size, question.data["labels"], boat)
    found = shortest(start_of(task, question), tried)
    assert found is not None
    return task, question, found


def written(played: Iterable[Move]) -> str:
    return f"moves = [{', '.join('[' + ', '.join(move) + ']' for move in played)}]"


def hanoi(count: int, start: str, goal: str, other: str) -> Iterator[Move]:
    if count:
        yield from hanoi(count - 1, start, other, goal)
        yield str(count), start, goal
        yield from hanoi(count - 1, other, goal, start)


def interleaved(count: int) -> list[Move]:
    """Reverse the first stack twice, then take blocks from both by turns."""
    _, (question,) = asked(f"blocks(size={count})")
    labels = question.data["labels"]
    half = count // 2
    top = labels[half - 1 : 0 : -1]
    away = [(block, "0", "1") for block in top] + [(labels[0], "0", "2")]
    back = [(block, "1", "2") for block in reversed(top)]
    turns = zip(reversed(labels[half:]), reversed(labels[:half]), strict=True)
    home = [move for one, other in turns for move in ((one, "1", "0"), (other, "2", "0"))]
    return [*away, *back, *home]


@pytest.mark.parametrize("spelling", SMALL)
def test_the_shortest_solution_has_the_stated_length(spelling: str) -> None:
    task, question, found = solved(spelling)

    assert len(found) == task.minimum == question.data["minimum"]
    assert task.check(question, written(found)) == 1
    assert task.check(question, written([*found, ("nobody",)])) == 0
    for dropped in range(len(found)):
        assert task.check(question, written(found[:dropped] + found[dropped + 1 :])) == 0


@pytest.mark.parametrize("settings", UNSOLVABLE)
def test_rivers_without_a_solution_are_refused(settings: str) -> None:
    with pytest.raises(BadParameterError, match=r"pairs? cannot cross with boat"):
        asked(f"river({settings})")

    task = catalogue.build(f"river({settings})", "tasks")
    labels = task.published
    start = replace(replace(task, boat=4).start(labels), places=task.boat)
    assert shortest(start, conceivable("river", task.size, labels, task.boat)) is None


def test_the_smallest_boat_with_a_solution_is_taken() -> None:
    carried = [asked(f"river(size={size})")[0].answer_tokens for size in (1, 3, 4, 5, 6)]

    assert carried == [64 + 16 * least for least in (1, 11, 9, 11, 9)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "spelling",
    ["blocks(size=7)", "checkers(size=6)", "river(size=6, boat=4)", "river(size=7, boat=4)"],
)
def test_larger_shortest_solutions_have_the_stated_length(spelling: str) -> None:
    task, _, found = solved(spelling)

    assert len(found) == task.minimum


def test_known_solutions_of_large_puzzles_are_accepted() -> None:
    for spelling, played in [
        ("tower(size=12)", [*hanoi(12, "0", "2", "1")]),
        ("blocks(size=60)", interleaved(60)),
    ]:
        task, (question,) = asked(spelling)
        assert len(played) == task.minimum
        assert task.check(question, written(played)) == 1
        swapped = [*played[:20], played[21], played[20], *played[22:]]
        assert task.check(question, written(swapped)) == 0
    task, (question,) = asked("checkers(size=25)")
    for first in "RB":
        rows = [*solution(start_of(task, question), first)]
        assert len(rows) == task.minimum + 1
        assert rows[-1].solved


def test_checkers_are_hopeless_wherever_no_search_finds_a_solution() -> None:
    task, (question,) = asked("checkers(size=3)")
    tried = conceivable("checkers", 3, "RB")
    seen, queue = {start_of(task, question)}, [start_of(task, question)]
    for place in queue:
        assert place.solvable == (shortest(place, tried) is not None)
        assert sorted(place.row) == sorted("RRR_BBB")
        fresh = {place.after(move) for move in tried if not place.fault(move)} - seen
        seen |= fresh
        queue += fresh

    assert {place.solvable for place in seen} == {True, False}


@pytest.mark.parametrize(
    ("spelling", "played", "legal", "fault"),
    [
        ("tower", [("1", "0", "2"), ("2", "0", "2")], 1, "on a smaller disk"),
        ("tower", [("2", "0", "2")], 0, "not on top"),
        ("tower", [("1", "1", "2")], 0, "not on top"),
        ("tower", [("1", "0", "3")], 0, "not a move"),
        ("tower", [("1", "0")], 0, "not a move"),
        ("checkers", [("R", "0", "2")], 0, "over its own kind"),
        ("checkers", [("R", "1", "2"), ("B", "3", "2")], 1, "not empty"),
        ("checkers", [("R", "1", "2"), ("B", "3", "1"), ("B", "1", "3")], 2, "backwards"),
        ("checkers(size=3)", [("R", "0", "3")], 0, "too far"),
        ("checkers", [("B", "1", "2")], 0, "not there"),
        ("checkers", [("R", "1", "5")], 0, "not a move"),
        ("checkers", [("X", "1", "2")], 0, "not a move"),
        ("blocks", [("A", "0", "2")], 0, "not on top"),
        ("blocks", [("B", "2", "1")], 0, "not on top"),
        ("blocks", [("B", "0", "2", "1")], 0, "not a move"),
        ("river", [("a", "A"), ("b",)], 1, "not on the boat's side"),
        ("river", [("a", "b", "A")], 0, "too many or too few in the boat"),
        ("river", [()], 0, "too many or too few in the boat"),
        ("river", [("a", "B")], 0, "with a foreign agent"),
        ("river", [("A",)], 0, "with a foreign agent"),
        ("river", [("a", "a")], 0, "not a move"),
        ("river", [("c",)], 0, "not a move"),
    ],
)
def test_the_first_illegal_move_is_named(
    spelling: str, played: list[Move], legal: int, fault: str
) -> None:
    task, (question,) = asked(spelling)
    found = task.replayed(question, played)

    assert (found.legal, found.fault, found.solved) == (legal, fault, False)
    answer = written(played)
    assert task.check(question, answer) == 0
    assert replace(task, score="legal").check(question, answer) == legal / len(played)
    assert replace(task, score="parsed").check(question, answer) == 1
    assert task.promise(question, answer.removesuffix("]")) == 0


@pytest.mark.parametrize("name", NAMES)
def test_legal_beginnings_are_promising(name: str) -> None:
    task, question, found = solved(f"{name}(boat=2)" if name == "river" else name)
    answer = written(found)

    for end in range(len(answer) + 1):
        assert task.promise(question, answer[:end]) == 1, answer[:end]
    assert task.promise(question, written(found[:-1])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_names_differ_between_questions_and_nothing_else(name: str) -> None:
    task, few = asked(f"{name}(count=3)")
    _, many = asked(f"{name}(count=5)")
    _, other = asked(f"{name}(count=3, seed=1)")

    assert many[:3] == few
    assert len({question.text for question in many}) == 5
    assert [question.text for question in few] != [question.text for question in other]
    assert tuple(few[0].data["labels"]) == task.published
    for question in many:
        labels = question.data["labels"]
        boat = 2 if name == "river" else 0
        found = shortest(start_of(task, question), conceivable(name, task.size, labels, boat))
        assert found is not None
        assert len(found) == task.minimum
        assert task.check(question, written(found)) == 1


def test_one_word_names_all_puzzles() -> None:
    assert list(catalogue.expand("puzzles(size=3)")) == [
        "blocks(size=3)",
        "checkers(size=3)",
        "river(size=3)",
        "tower",
    ]
    plain, (question,) = asked("tower(algorithm=true)")
    assert "solve(n - 1, from, other, to)" in question.text
    assert plain.minimum == 7
    with pytest.raises(BadParameterError, match=re.escape("size=21 must be 1 to 20")):
        asked("tower(size=21)")
    with pytest.raises(BadParameterError, match="count=7 is too many: 6 different questions"):
        asked("tower(count=7)")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("moves = [[1, 0, 2], [2, 0, 1]]", [("1", "0", "2"), ("2", "0", "1")]),
        ("moves = [['R', 0, 1]] # done", [("R", "0", "1")]),
        ("**Moves:** [(`A`, 0, 1),\n(B, 1, 2),]", [("A", "0", "1"), ("B", "1", "2")]),
        ("First [[1, 2, 3]] is wrong.\nmoves = [[1, 0, 1]]", [("1", "0", "1")]),
        ("moves = [[1, 0, 1]]\nNo: moves = [[1, 0, 2]]", [("1", "0", "2")]),
        ("[[1, 0, 1]] and then [[1, 0, 2]]", [("1", "0", "2")]),
        ("moves = [[1, 0, 1]], of disks [1, 2]", [("1", "0", "1")]),
        ("moves = [\n[1, 0, 1], # [9, 9, 9]\n[1, 1, 2]]", [("1", "0", "1"), ("1", "1", "2")]),
        ("moves = []", []),
        ("moves = [[1, 0, 1], ...]", None),
        ("moves = [[1, 0, -1]]", None),
        ("moves = [[[1, 0, 1]]]", None),
        ("moves = [[1, 0, 1], [2, 0", None),
        ("moves = [1, 0, 2]", None),
        ("Move disk 1 from peg 0 to peg 2.", None),
        ("", None),
    ],
)
def test_the_last_list_of_moves_is_read_and_none_is_guessed(
    answer: str, found: list[Move] | None
) -> None:
    assert moves(answer) == found


def test_answers_are_alike_if_their_moves_are() -> None:
    task, _ = asked("river")

    assert task.stated("Well: moves = [['a', A]]") == task.stated("moves = [[a, A]] # go")
    assert task.stated("moves = [[a]]") != task.stated("moves = [[A]]")
    assert task.stated("no moves") == ""


def test_unfinished_lists_give_their_complete_moves() -> None:
    assert moves_so_far("moves = [[1, 0, 1], [2, 0") == [("1", "0", "1")]
    assert moves_so_far("Let me think") == []


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.sampled_from("moves =:[](), 012aA\"'#\n²")))
def test_whatever_is_written_is_judged(text: str) -> None:
    for name in NAMES:
        task, (question,) = asked(name)
        for answer in (text, f"moves = [{text}", f"moves = [[{text}]]"):
            assert task.check(question, answer) in (0, 1)
            assert task.promise(question, answer) in (0, 1)


def test_replays_stop_at_the_first_illegal_move() -> None:
    task, (question,) = asked("tower")
    played = [("1", "0", "2"), ("3", "0", "1"), ("1", "2", "0")]
    found = replay(start_of(task, question), played)

    assert found.end == replay(start_of(task, question), played[:1]).end
