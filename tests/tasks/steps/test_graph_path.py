"""Ways along arrows, against all ways found one by one."""

from __future__ import annotations

from itertools import pairwise

from tests.tasks.steps.solved import (
    asked,
    graph_of,
    put,
    ways,
)


def test_a_graph_has_its_points_and_its_depth():
    task, questions = asked("graph-path(nodes=30, depth=6, count=20)")
    for question in questions:
        arrows, start, goal = graph_of(put(question))
        assert sorted({point for arrow in arrows for point in arrow}) == list(range(1, 31))
        assert [len(way) for way in ways(arrows, start, goal)] == [7]
        assert goal not in {one for one, _ in arrows}
        assert task.check(question, f"Answer: {', '.join(map(str, ways(arrows, start, goal)[0]))}")


def test_nothing_in_the_text_gives_the_way_away():
    _, questions = asked("graph-path(nodes=30, depth=6, count=20)")
    told = [graph_of(put(question)) for question in questions]

    first = [arrows[0] in _way_arrows(arrows, start, goal) for arrows, start, goal in told]
    assert 0 < sum(first) < 15
    leaving = [{one for one, other in arrows if other != goal} for arrows, _, goal in told]
    assert all(len(one) > 8 for one in leaving)


def _way_arrows(arrows: list[list[int]], start: int, goal: int) -> list[list[int]]:
    (way,) = ways(arrows, start, goal)
    return [list(arrow) for arrow in pairwise(way)]


def test_an_arrow_is_promising_exactly_if_the_goal_can_be_reached_behind_it():
    task, questions = asked("graph-path(nodes=20, depth=4, count=10)")
    seen = set()
    for question in questions:
        arrows, at, goal = graph_of(put(question))
        said = ""
        for point in ways(arrows, at, goal)[0][1:]:
            for one, other in arrows:
                hopeful = one == at and bool(ways(arrows, other, goal))
                assert task.promise(question, f"{said}{one} -> {other}\n") == hopeful
                seen.add((one == at, hopeful))
            said += f"{at} -> {point}\n"
            at = point
        assert task.promise(question, f"{said}{goal} -> {goal}\n") == 0

    assert seen == {(True, True), (True, False), (False, False)}


def test_ways_that_break_off_or_jump_are_no_answers():
    task, (question, *_) = asked("graph-path")
    arrows, start, goal = graph_of(put(question))
    way = ways(arrows, start, goal)[0]

    for wrong in (way[:-1], way[1:], [start, goal], [start], way[::-1], [*way, goal]):
        assert task.check(question, f"Answer: {' -> '.join(map(str, wrong))}") == 0
    assert task.check(question, f"Answer: go {' -> '.join(map(str, way))}") == 0
    assert task.promise(question, f"Answer: {way[2]} -> {way[1]} -> {way[2]}") == 0
    assert task.check(question, f"Answer: {' → '.join(map(str, way))}") == 1
