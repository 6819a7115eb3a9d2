"""Truth values, against all assignments one by one."""

from __future__ import annotations

from itertools import product

from tests.tasks.steps.solved import (
    asked,
    formula_of,
    models,
    put,
    values_of,
)


def test_values_are_promising_exactly_if_others_satisfy_the_formula_with_them():
    task, questions = asked("small-sat(variables=4, clauses=16, count=6)")
    seen = set()
    for question in questions:
        right = models(put(question))
        for order in ([1, 2, 3, 4], [3, 1, 4, 2]):
            for values in product([True, False], repeat=4):
                said = ""
                for end, (one, value) in enumerate(zip(order, values, strict=True), 1):
                    said += f"x{one} = {str(value).lower()}\n"
                    some = dict(zip(order[:end], values, strict=False))
                    hopeful = any(some.items() <= model.items() for model in right)
                    assert task.promise(question, said) == hopeful
                    seen.add(hopeful)
                assert task.check(question, f"Answer: {said.replace(chr(10), ', ')}") == hopeful

    assert seen == {True, False}


def test_a_variable_has_one_value_and_every_variable_has_one():
    task, (question, *_) = asked("small-sat")
    *steps, answer = values_of(put(question))

    assert task.promise(question, f"{steps[0]}\n{steps[0]}\n") == 0
    assert task.check(question, f"{answer}, {steps[0]}") == 0
    assert task.check(question, f"Answer: {', '.join(steps[1:])}") == 0
    assert task.check(question, answer.replace("x1", "x99")) == 0


def test_a_formula_has_as_many_different_clauses_as_asked():
    _, questions = asked("small-sat(variables=6, clauses=40, count=10)")
    for question in questions:
        count, clauses = formula_of(put(question))
        assert count == 6
        assert len({frozenset(clause) for clause in clauses}) == 40
        assert all(len({one for one, _ in clause}) == 3 for clause in clauses)
        assert models(put(question))
