import pytest

from forethought.contracts.search import Candidate
from forethought.tasks.same_answers import SameAnswers


def answered(text, finish="stop"):
    return Candidate(steps=(text,), finish=finish)


def groups(*candidates):
    return SameAnswers().group(candidates)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("So it is \\boxed{1/2}.", "The answer is 0.5."),
        ("#### 1,200", "That makes 1200"),
        ("Paris.", "paris"),
        ("The answer is Paris", "I thought of Rome first. The answer is: Paris."),
    ],
)
def test_equal_answers_have_one_number(one, other):
    assert groups(answered(one), answered(other)) == [0, 0]


def test_numbers_count_up_as_answers_appear():
    found = groups(answered("3"), answered("4"), answered("3.0"), answered("5"), answered("4"))
    assert found == [0, 1, 0, 2, 1]


def test_what_was_cut_off_says_nothing_unless_it_boxed_its_result():
    cut = answered("First 3 and then 4", "length")
    boxed = answered("It is \\boxed{7}. To check", "budget")
    assert groups(answered("7"), cut, boxed, answered("")) == [0, None, 0, None]


def test_equal_words_are_one_answer_however_long_they_are():
    essay = "many words " * 1000
    assert groups(answered(essay), answered(essay + "."), answered(essay + "more")) == [0, 0, 1]
