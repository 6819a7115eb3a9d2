import time
from itertools import combinations

import pytest

from forethought.tasks.mathematics._extract import boxed, final
from forethought.tasks.mathematics._judge import equal

REFERENCES = [
    r"\left( 3, \frac{\pi}{2} \right)",
    "(3, -2)",
    r"\frac{243}{625}",
    "x^5 - x^4 + x^3 - x^2 + x - 1",
    "6+9i",
    "9+6i",
    "40_9",
    "40_8",
    "40",
    r"\frac{3\sqrt{3}}{4}",
    r"1 \pm \sqrt{19}",
    r"1 + \sqrt{19}",
    r"\text{east}",
    r"\text{seat}",
    r"\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix}",
    r"\begin{pmatrix} -1/3 & 2/3 & 5/3 \end{pmatrix}",
    r"5x - 7y + 11z + 4 = 0",
    r"5x - 7y + 11z - 4 = 0",
    r"288 \pi",
    r"864 \mbox{ inches}^2",
    r"\left(\frac{3}{5},\frac{8}{3}\right]",
    r"\left[\frac{3}{5},\frac{8}{3}\right]",
    r"(-\infty, 0]",
    r"(-\infty, 2) \cup (3, \infty)",
    r"(-\infty, 2) \cup (3, 4)",
    "-2,1",
    "2,1",
    r"\$37",
    r"36^\circ",
    "1.25",
    "13535",
    "0.333",
    r"\frac{1}{3}",
    r"\sqrt{5}",
    "2.236",
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_every_reference_is_equal_to_itself(reference: str) -> None:
    assert equal(reference, reference)


def test_no_two_different_references_are_equal() -> None:
    wrong = [pair for pair in combinations(REFERENCES, 2) if equal(*pair) or equal(*pair[::-1])]

    assert wrong == []


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("1000", "1,000"),
        ("1000", "1000.0"),
        ("1000", r"\$1{,}000"),
        ("1000", "10^3"),
        ("0.5", r"\frac12"),
        (r"\frac{1}{2}", "1/2"),
        (r"\frac43", r"\dfrac{4}{3}"),
        ("3.5", r"3\frac{1}{2}"),
        ("50", r"50\%"),
        ("0.5", "50%"),
        ("50%", "0.5"),
        ("50%", "50"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
        ("2", r"\sqrt[3]{8}"),
        ("-2", r"\sqrt[3]{-8}"),
        ("3", r"\log_2 8"),
        ("10", r"\binom{5}{2}"),
        ("24", "4!"),
        ("6+9i", "9i + 6"),
        ("2i", "(1+i)^2"),
        ("(x-1)(x+1)", "x^2 - 1"),
        ("2k+2", "2(k+1)"),
        (r"\pi", "π"),
        (r"36^\circ", "36"),
        (r"90^{\circ}", "90 degrees"),
        (r"15\mbox{ cm}^2", r"15 \text{ cm}^2"),
        ("18", "18 dollars"),
        (r"\text{east}", "East"),
        (r"\text{(C)}", "C"),
        ("5", "x = 5"),
        ("x=5", "5"),
        (r"[1,2]", r"x \in [1, 2]"),
        ("5x - 7y = 4", "-10x + 14y = -8"),
        ("y = 2x + 1", "2x + 1"),
        ("-2,1", "1, -2"),
        ("-2,1", r"1 \text{ and } {-2}"),
        ("-2,1", "x = 1, x = -2"),
        (r"\{1,2,3\}", r"\{3, 1, 2\}"),
        (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"),
        (r"(0,9) \cup (9,36)", r"(9, 36) \cup (0, 9)"),
        (r"(-\infty, 0]", r"\left(-\infty,\, 0\right]"),
        (r"\begin{pmatrix} 1/5 \\ -2 \end{pmatrix}", r"\begin{bmatrix} 0.2 \\ -2 \end{bmatrix}"),
        ("40_9", "40_{9}"),
    ],
)
def test_what_says_the_same_is_equal(reference: str, answer: str) -> None:
    assert equal(reference, answer)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", r"\{1,2\}"),
        ("1,2", "1,2,2"),
        ("1,1", "1,2"),
        ("1,2", "1"),
        ("5", ""),
        ("5", "x"),
        ("2.236", r"\sqrt{5}"),
        ("x+1", "y+1"),
        ("x^2 - 1", "x^2 + 1"),
        ("0.5", "5000%"),
        ("50%", "5000%"),
        ("50%", "0.5%"),
        ("x = x", "x = y"),
        ("x = 5", "x = 6"),
        ("east", "seat"),
        ("1", "1/0"),
        ("1", "(1"),
        ("40_9", "40_8"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(1,2)"),
    ],
)
def test_what_says_something_else_is_not(reference: str, answer: str) -> None:
    assert not equal(reference, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "9^{9^{9^{9}}}",
        "(" * 900 + "1" + ")" * 900,
        "1" * 1999,
        "2^{" * 300 + "2" + "}" * 300,
        "x " * 990,
        "{" * 1990,
        r"\frac" * 390,
        "299!" * 400,
        "99999999!",
        "abc " * 100_000,
    ],
)
def test_hostile_expressions_are_judged_at_once(answer: str) -> None:
    started = time.perf_counter()

    assert not equal("7", answer)

    assert time.perf_counter() - started < 0.5


def test_boxes_may_hold_braces_and_only_closed_ones_count() -> None:
    text = r"\boxed{\frac{1}{2}} then \fbox{x} and \boxed {\{1\}} and \boxed{3 \boxed{open"

    assert boxed(text) == [r"\frac{1}{2}", "x", r"\{1\}"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (r"First \boxed{1}, so \boxed{\frac{1}{2}} #### 3 and the answer is 4", r"\frac{1}{2}"),
        ("The answer is 4.\n#### 1,234\nbye", "1,234"),
        ("Maybe the answer is 3. No: the answer is $1,234.50. Done 7.", "$1,234.50"),
        ("**Answer: 18**", "18"),
        (r"The final answer is $\frac{1}{2}$. I used 3 steps.", r"\frac{1}{2}"),
        (r"The answer is \(x + 1\), as 2 shows.", "x + 1"),
        ("She has 3 + 4 = 7 apples.", "7"),
        ("It costs $1,250.75.", "$1,250.75"),
        ("from 3-5 days", "5"),
        ("it is -5 degrees", "-5"),
        ("nothing at all", ""),
    ],
)
def test_the_final_answer_is_found_where_it_stands(answer: str, expected: str) -> None:
    assert final(answer) == expected
