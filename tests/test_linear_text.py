"""Text that users, files and servers give is handled in steps that grow as the text does."""

import ast
import importlib.util
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any, NamedTuple

import pytest

import forethought
from forethought.backends.openai.key_scrubber import Scrubber
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression import _retrieval
from forethought.methods.prompt_compression._room import room_in
from forethought.models.chat import transcript
from forethought.models.tokenization import tokenizer
from forethought.numerics import bm25, sentences
from forethought.tasks.longbench import _rouge
from forethought.tasks.mathematics import _extract, _judge, _plain, _relations, _value
from tests import regex_steps
from tests.fast_cases import fast_each
from tests.regex_steps import CountingPattern, Matcher, TooManyStepsError

SHORT, LONG = 16, 160
"""Ten times the text may take at most fifteen times the steps."""
DEEP = 100_000
"""Frames that the matcher may need: it calls itself for every repetition of a group."""
METHODS = ("match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split")
ANCHORED = ("match", "fullmatch", "search")


class Use(NamedTuple):
    """A pattern of the package, and the method that it is used by."""

    where: str
    method: str
    pattern: re.Pattern[str]


def uses() -> Iterator[Use]:
    """Every pattern that is a constant of a module, or written where it is used."""
    for found in pkgutil.walk_packages(forethought.__path__, "forethought."):
        path = Path(importlib.util.find_spec(found.name).origin or "")
        if "import re\n" in (source := path.read_text()):
            try:
                module = importlib.import_module(found.name)
            except ModuleNotFoundError:  # an adapter for a package that is not installed
                assert found.name.startswith("forethought.adapters.")
                continue
            yield from _held_in(vars(module), found.name)
            yield from _used_in(ast.parse(source), vars(module), found.name)


def _held_in(names: dict[str, Any], where: str) -> Iterator[Use]:
    """Patterns in tables, with what they are replaced by."""
    for table in (value for value in names.values() if isinstance(value, tuple)):
        for row in table:
            if isinstance(row, tuple) and row and isinstance(row[0], re.Pattern):
                yield Use(where, "sub", row[0])


def _used_in(tree: ast.AST, names: dict[str, Any], where: str) -> Iterator[Use]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        method, owner = node.func.attr, ast.unparse(node.func.value)
        if method not in METHODS:
            continue
        if isinstance(names.get(owner), re.Pattern):
            yield Use(where, method, names[owner])
        elif owner == "re" and (pattern := _written(node, names)):
            yield Use(where, method, pattern)


def _written(call: ast.Call, names: dict[str, Any]) -> re.Pattern[str] | None:
    """The pattern of `re.method(pattern, ...)`; None where it is made of what is given."""
    flags = [one for one in map(ast.unparse, call.args[1:]) if re.fullmatch(r"re\.[A-Z]+", one)]
    try:
        pattern, bits = (
            eval(text, names) for text in (ast.unparse(call.args[0]), "+".join(flags) or "0")
        )
    except (NameError, AttributeError):
        return None
    return re.compile(pattern, bits) if isinstance(pattern, str) else None


USES = list(uses())


@pytest.fixture(autouse=True)
def deep_stack() -> Iterator[None]:
    """A recursion limit far above what the matcher needs."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEP)
    yield
    sys.setrecursionlimit(before)


def signs(pattern: re.Pattern[str]) -> list[str]:
    """The texts that a pattern looks for, white space, a letter and a digit."""
    found: dict[str, None] = {}

    def visit(nodes: Any) -> None:
        run = ""
        for kind, given in [*nodes, (None, None)]:
            if kind == _parser.LITERAL:
                run += chr(given)
                continue
            if run:
                found.update(dict.fromkeys((run, run[0])))
                run = ""
            if kind == _parser.IN:
                found.update((chr(one), None) for name, one in given if name == _parser.LITERAL)
            for inner in _inner(kind, given):
                visit(inner)

    visit(_parser.parse(pattern.pattern, pattern.flags))
    return list(dict.fromkeys([" ", "\n", "a", "1", *found]))


def _inner(kind: Any, given: Any) -> list[Any]:
    if kind in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
        return [given[2]]
    if kind is _parser.SUBPATTERN:
        return [given[3]]
    if kind is _parser.BRANCH:
        return list(given[1])
    return [given[1]] if kind in (_parser.ASSERT, _parser.ASSERT_NOT) else []


def steps(use: Use, text: str, most: int) -> int:
    """The steps of a pattern on a text, or more than `most`."""
    matcher = Matcher(use.pattern, text, most)
    try:
        for _ in matcher.run(use.method if use.method in ANCHORED else "finditer"):
            pass
    except TooManyStepsError:
        return most + 1
    return matcher.steps


def hostile(first: str, second: str) -> list[Callable[[int], str]]:
    """Texts of any length in which a pattern may try the same again and again."""
    return [
        lambda size: (first + second) * size,
        lambda size: first + second * size + "~",
    ]


def _check(use: Use, firsts: list[str], seconds: list[str]) -> None:
    for first in firsts:
        for second in seconds:
            for made in hostile(first, second):
                few = steps(use, made(SHORT), 10**6)
                assert steps(use, made(LONG), 15 * few + 200) <= 15 * few + 200, made(3)


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where}-{use.method}")
def test_patterns_take_steps_in_proportion_to_the_text(use: Use) -> None:
    _check(use, [""], signs(use.pattern)[:12])


@pytest.mark.slow
@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where}-{use.method}")
def test_patterns_take_steps_in_proportion_to_text_of_two_parts(use: Use) -> None:
    _check(use, signs(use.pattern)[:16], signs(use.pattern)[:16])


def test_all_patterns_of_the_package_are_seen() -> None:
    assert len({use.pattern for use in USES}) > 90


def counted(work: Callable[[], object], modules: list[Any], most: int) -> int:
    """Lines of Python and steps of the modules' patterns that some work takes."""
    lines = Counter[str]()

    def look(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == regex_steps.__file__:
            return None
        lines["line"] += event == "line"
        if lines["line"] > most:
            raise TooManyStepsError
        return look

    with pytest.MonkeyPatch.context() as patch:
        patterns = []
        for module in modules:
            for name, value in list(vars(module).items()):
                if isinstance(value, re.Pattern):
                    patterns.append(CountingPattern(value, most))
                    patch.setattr(module, name, patterns[-1])
        before = sys.gettrace()
        sys.settrace(look)
        try:
            work()
        except TooManyStepsError:
            return most + 1
        finally:
            sys.settrace(before)
    return lines["line"] + sum(one.steps for one in patterns)


def prompt_of_characters(document: str) -> Prompt:
    """A prompt with a token for every character, and a question behind the document."""
    text = f"{document}\n\nWhich word?"
    spans = tuple((place, place + 1) for place in range(len(text)))
    question = frozenset(range(len(document), len(text)))
    return Prompt(tuple(range(len(text))), spans, text, question, content=(0, len(text)))


def split(document: str) -> object:
    prompt = prompt_of_characters(document)
    return _retrieval.sentences_of(prompt, room_in(prompt, 1.0, "bm25", protect=True))


def ranked(question: str, document: str) -> object:
    return bm25.bm25(question, [*document.split()], 1.2, 0.75)


def covered(size: int) -> object:
    spans = [(place, place + 1) for place in range(size)]
    return [transcript._covering(spans, span) for span in spans]


def inside(size: int) -> object:
    spans = [(place, place + 1) for place in range(size)]
    return [tokenizer._inside(span, spans) for span in spans]


RETRIEVAL = [_retrieval, sentences]
JUDGE = [_extract, _judge, _plain, _relations, _value]
WORK: dict[str, tuple[Callable[[int], object], list[Any]]] = {
    "line breaks": (lambda size: split("A word." + "\n" * size + "Another."), RETRIEVAL),
    "spaces": (lambda size: split("A word." + " " * size + "another."), RETRIEVAL),
    "sentences": (lambda size: split("A word. " * (size // 8)), RETRIEVAL),
    "leading breaks": (lambda size: split(" \n" * (size // 2) + "A word."), RETRIEVAL),
    "questions": (lambda size: ranked("a b " * size, "a b " * size), [bm25]),
    "many words": (
        lambda size: ranked(" ".join(map(str, range(size))), " ".join(map(str, range(size)))),
        [bm25],
    ),
    "marks": (covered, [transcript]),
    "trusted ranges": (inside, [tokenizer]),
    "subsequences": (lambda size: _rouge.common_subsequence("ab" * size, "ba" * size), [_rouge]),
    "open boxes": (lambda size: _extract.final(r"\boxed{" * size), JUDGE),
    "nested boxes": (lambda size: _extract.final(r"\boxed{" * size + "}" * size), JUDGE),
    "boxes": (lambda size: _extract.final(r"\boxed{1}, " * size), JUDGE),
    "open formulas": (lambda size: _extract.final(r"\(\[" * size), JUDGE),
    "dollars": (lambda size: _extract.final("costs $5 and " * size), JUDGE),
    "announcements": (lambda size: _extract.final("the answer is " * size), JUDGE),
    "lists": (lambda size: _judge.equal("1", "1," * size), JUDGE),
    "brackets": (lambda size: _judge.equal("1", "(" * size), JUDGE),
    "sums": (lambda size: _judge.equal("1", "x+" * size + "1"), JUDGE),
    "texts": (lambda size: _judge.equal("1", r"1\text{a}" * (size // 4)), JUDGE),
    "spellings": (lambda size: spelling.split("a+'b'+" * size + "c", "+"), [spelling]),
    "open quotes": (lambda size: refused(lambda: spelling.split(r"'\'" * size, "+")), [spelling]),
}


def refused(work: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        work()


@pytest.mark.parametrize("name", WORK)
def test_ten_times_the_text_takes_at_most_fifteen_times_the_steps(name: str) -> None:
    work, modules = WORK[name]
    few = counted(lambda: work(32), modules, 10**7)

    assert counted(lambda: work(320), modules, 15 * few) <= 15 * few


@pytest.mark.parametrize(
    "answer",
    ["9^{9^{9^{9}}}", "(" * 900, "1" * 1990, "299!" * 400, "1," * 990],
)
def test_no_answer_takes_more_than_a_bounded_number_of_steps(answer: str) -> None:
    assert counted(lambda: _judge.equal("7,7", answer), JUDGE, 500_000) <= 500_000


@pytest.mark.parametrize("key", ["sk-secret-12345", "EMPTY", "\\\\host-12345", "none"])
@pytest.mark.parametrize("sign", fast_each(2, ["\\", "%25", "&#0", "&#x0", "s", "x5c"]))
def test_a_key_is_looked_for_in_steps_in_proportion_to_the_text(key: str, sign: str) -> None:
    pattern = Scrubber(key)._pattern
    assert pattern is not None
    _check(Use("forethought.backends.openai.key_scrubber", "sub", pattern), ["", key[0]], [sign])
