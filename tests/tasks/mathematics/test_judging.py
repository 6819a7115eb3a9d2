from concurrent.futures import ThreadPoolExecutor
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
        ("0.5", "0{.}5"),
        ("1/2", r"{.}5"),
        (r"0{.}5", r"\frac{1}{2}"),
        ("1234567.5", "1{,}234{,}567{.}5"),
        ("0.125", "0{,}125"),  # a decimal comma
        ("3.14", "3{,}14"),
        ("1000", r"1{\,}000"),
        ("-5", "{-}5"),
        ("7", "3{+}4"),
        ("x=3", "x{=}3"),
        ("2x+y", "2x{+}y"),
        ("12", r"3{\cdot}4"),
        ("50%", r"50{\%}"),
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
        ("2220", r"2,\!220"),
        ("10080", r"10,\!080"),
        ("1200.0", r"1\,200"),
        ("1200", "1~200"),
        ("1200", r"1\ 200"),
        ("1200", "1 200"),
        ("1200", "1\u2009200"),
        ("11111111100", r"11,\! 111,\! 111,\! 100"),
        (r"\$16386.20", r"\$16,\!386.20"),
        ("1,234", "1234"),
        ("100,200", "100, 200"),
        ("100200", "100,200"),
        ("1 1/2", "1.5"),
        ("1.5", r"1\frac12"),
        ("1.5", r"1\frac1{2}"),
        (r"\frac16", r"0.1\overline{6}"),
        ("0.00001", "1e-05"),
        ("1e+22", "10^{22}"),
        (r"1.5 \times 10^{3}", "1.5e3"),
        (r"\frac13", "0.333333"),
        (r"\frac23", "0.6666667"),
        (r"\frac23", "0.6666666"),
        (r"\sqrt{2}", "1.414213562"),
        (r"\frac13", r"\frac13 \approx 0.33"),
        (r"4\sqrt{3}", r"x = 2 \cdot 2\sqrt{3} = 4\sqrt{3}"),
        ("5", "AB = 5"),
        ("5", r"|AB| = 5"),
        ("5", r"\angle ABC = 5^{\circ}"),
        ("5", "f(2) = 5"),
        ("5", "2 + 3 = 5"),
        ("(3, 2)", "(p, q) = (3, 2)"),
        ("11:21", "V_{1} : V_{2} = 11 : 21"),
        ("AB=4, CD=5", "4, 5"),
        ("f(x) = 2x", "y = 2x"),
        (r"F_n = \sum_{k=0}^{n} F_k G_k", r"F_n = \sum_{k=0}^{n} G_k F_k"),
        (r"x \ge 5", "5 <= x"),
        (r"x \ge 5", r"[5, \infty)"),
        ("x < 1", "-x > -1"),
        (r"-2 \le x < 7", "[-2, 7)"),
        ("(-2, 7)", "7 > x > -2"),
        (r"x \neq 3", "x != 3"),
        (r"x < 1 \text{ or } x > 3", r"(-\infty, 1) \cup (3, \infty)"),
        (r"\mathbb{R}", r"(-\infty, \infty)"),
        (r"\emptyset", r"\varnothing"),
        (r"\infty", r"+\infty"),
        ("(0;-2;6), (4;0;0)", "(4,0,0), (0,-2,6)"),
        ("19, 46, and 82", r"19, 46, \text{ and } 82"),
        (r"(11,7) \text{ or } (7,11)", "(7,11),(11,7)"),
        (r"\sin^2 x + \cos^2 x", "1"),
        (r"\sin^{-1} \frac{1}{2}", r"\arcsin 0.5"),
        (r"\sin 2x", r"2 \sin x \cos x"),
        (r"\tan^2(y) + 1", r"\sec^2(y)"),
        ("e^{x}", r"\exp(x)"),
        ("1 + e", r"1 + \mathrm{e}"),
        (r"\lfloor 2.5 \rfloor", "2"),
        ("9", r"9 \text{ cm}^{2}"),
        ("9", "9cm²"),
        ("5", r"5\text{m}/\text{s}"),
        ("125", r"125\textnormal{ miles}"),
        ("28%", r"28\text{ percent}"),
        ("0.28", "28 percent"),
        (r"\text{No}", "no."),
        (r"\textbf{(B)}", "B)"),
        (r"\langle 1, 2 \rangle", "(1, 2)"),
        (
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\left[ \begin{array}{cc} 1 & 2 \\ 3 & 4 \\ \end{array} \right]",
        ),
        (r"\left(\frac{1}{5}, 2\right)", r"\\left(\\frac{1}{5}, 2\\right)"),
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
        ("800", r"10\,080"),
        ("6", "2 3"),
        ("6", r"2\,3"),
        ("32", "2^3 4"),
        ("27", "2 7"),
        ("7/2", "2 3/2"),
        ("2,3", "2 3"),
        (r"\frac13", "0.3333"),
        (r"\frac13", "0.333334"),
        ("0.5", "0.500001"),
        (r"\sqrt{2}", "1.41421357"),
        ("6", "2x = 6"),
        ("4", "x^2 = 4"),
        ("0", "5x - 7y = 0"),
        ("7 = 11a + c", "11a + c"),
        ("x = 3", "y = 3"),
        ("x < 2", "x > 2"),
        ("x < 2", r"x \le 2"),
        ("x < 2", r"(-\infty, 2]"),
        ("x < 2", "y < 2"),
        (r"x \neq 3", "x = 3"),
        ("11:21", "21:11"),
        (r"\pm 2021", "2021"),
        ("12:00", "1:00"),
        ("no", "on"),
        (r"\text{ab}", "ba"),
        (r"1 - \frac{1}{e}", r"1 + \frac{1}{e}"),
        ("4343_6", "4343_7"),
        ("e^{-30}", "e^{-31}"),
        (r"\text{Monday}", r"\text{Tuesday}"),
        ("", "5"),
        ("1,2,3,4", "(1,2,3,4)"),
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
        "0." + "1" * 1900,
        r"\log_" * 400,
        "((" * 450 + ",2)" * 300,
    ],
)
def test_hostile_expressions_say_nothing(answer: str) -> None:
    assert not equal("7", answer)


def test_answers_are_judged_in_any_thread() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(equal, ["7", "10^3"] * 50, ["9^{9^{9^{9}}}", "1,000"] * 50)]

    assert found == [False, True] * 50


def test_boxes_may_hold_braces_and_only_closed_ones_count() -> None:
    text = r"\boxed{\frac{1}{2}} then \fbox{x} and \boxed {\{1\}} and \boxed{3 \boxed{open"

    assert boxed(text) == [r"\frac{1}{2}", "x", r"\{1\}"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (r"x=\boxed{3} or x=\boxed{5}", "3, 5"),
        (r"$\boxed{3}$ and $\boxed{5}$.", "3, 5"),
        (r"\[ \boxed{3}, \quad \text{and} \quad \boxed{x = 5} \]", "3, x = 5"),
        (r"\boxed{1}\boxed{2}", "1, 2"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{x = \fbox{\frac{1}{2}} + 1}", r"x = \frac{1}{2} + 1"),
        ("\\boxed{2}\n\n\\boxed{3}", "3"),
        (r"\boxed{2}, \boxed{2}", "2"),
        (r"First \boxed{3}, so the total is \boxed{6}", "6"),
        (r"\boxed{3} in all, or \boxed{4}", "4"),
        (r"It is \\boxed{35}", "35"),
        (r"\boxed{3 \boxed{5}", "5"),
    ],
)
def test_boxes_that_belong_together_are_one_list(answer: str, expected: str) -> None:
    assert final(answer) == expected


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
        (r"so we get $x = \frac{3}{4}$.", r"x = \frac{3}{4}"),
        (r"Thus \((7, 6)\) it is", "(7, 6)"),
        ("\\[\n9\n\\]", "9"),
        ("so $1$ and $-2$ remain", "1, -2"),
        (r"The answer is $28$ percent.", "28%"),
        (r"The answers: the answer is $1$ and $2$, not $3$.", "1, 2"),
        ("The final answer is: the volume is 120. I hope it is correct.", "120"),
        ("The answer is 18 dollars and 50 cents.", "18"),
        ("The answer is Evelyn.", "Evelyn"),
        ("He pays $5 and she pays $6.", "$6"),
        ("Water is H2O.", ""),
        (r"\frac{10}{9}", r"\frac{10}{9}"),
        (r"It is 14{,}916 in all", "14{,}916"),
        (r"It is 0{.}5 in all", "0{.}5"),
        (r"It is 1{,}000{.}25 in all", "1{,}000{.}25"),
    ],
)
def test_the_final_answer_is_found_where_it_stands(answer: str, expected: str) -> None:
    assert final(answer) == expected
