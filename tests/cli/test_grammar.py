"""Command lines that are read, and those that are refused."""

from __future__ import annotations

import pytest

from forethought.cli import options
from forethought.cli.grammar import Given, Verb, parse
from forethought.cli.main import VERBS
from forethought.cli.verbs import table
from forethought.contracts.errors import UsageError

ASK, COMPARE, SHOW = table("ask"), table("compare"), table("show")


def given(verb: Verb, *words: str) -> Given:
    found = parse(verb, words)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "words",
    [
        ["Why?", "--model", "m", "-q", "-v"],
        ["-m", "m", "Why?", "-qv"],
        ["-mm", "-vq", "--", "Why?"],
        ["--model=m", "Why?", "--quiet", "--verbose"],
        ["-qvm", "m", "Why?"],
        ["-m", "other", "-m", "m", "Why?", "-v", "-q", "-q"],
    ],
    ids=" ".join,
)
def test_options_are_spelled_in_every_usual_way_and_order(words: list[str]) -> None:
    found = given(ASK, *words)

    assert found[options.QUESTION] == "Why?"
    assert found.recipe == {"model": "m"}
    assert found[options.QUIET] is True
    assert found[options.VERBOSE] is True
    assert found[options.JSON] is False


def test_arguments_may_stand_among_options() -> None:
    found = given(COMPARE, "snapkv", "-t", "addition", "h2o", "--samples", "2", "--", "-t")

    assert found[options.RECIPES] == ("snapkv", "h2o", "-t")
    assert found[options.TASKS] == ("addition",)
    assert found[options.ANSWERS] == 2


@pytest.mark.parametrize("value", ["-", "--", "-x", "--seed", "", " a ", "=", "a=b"])
def test_a_value_may_look_like_an_option(value: str) -> None:
    assert given(ASK, "Why?", "--stop", value).recipe["stop"] == (value,)
    assert given(ASK, "Why?", f"--stop={value}").recipe["stop"] == (value,)


def test_repeated_options_keep_their_order() -> None:
    found = given(ASK, "-x", "a", "-xb", "--approximate=c")

    assert found.recipe["approximate"] == ("a", "b", "c")


def test_a_lone_dash_is_an_argument() -> None:
    assert given(ASK, "-")[options.QUESTION] == "-"


def test_numbers_below_zero_are_values() -> None:
    found = given(ASK, "hi", "--seed", "-1", "--temperature", "-0.5")

    assert found.recipe == {"seed": -1, "temperature": -0.5}


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["x", "-qh"], ["--samples", "3", "--help"]])
def test_help_is_asked_for_anywhere(words: list[str]) -> None:
    assert parse(ASK, words) is None
    assert given(ASK, "--", "--help")[options.QUESTION] == "--help"


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        (ASK, ["--seeed", "1"], "no such option: --seeed"),
        (ASK, ["--temp", "1"], "no such option: --temp"),
        (ASK, ["-z"], "no such option: -z"),
        (ASK, ["-qz"], "no such option: -z"),
        (ASK, ["-5"], "no such option: -5"),
        (ASK, ["a", "b"], r"got unexpected extra argument\(s\) \(b\)"),
        (ASK, ["hi", "-m"], "option '-m' requires an argument"),
        (ASK, ["hi", "--model"], "option '--model' requires an argument"),
        (ASK, ["hi", "--json=3"], "option '--json' does not take a value"),
        (ASK, ["hi", "--samples", "x"], "invalid value for '--samples': 'x' is not a whole number"),
        (ASK, ["hi", "--samples", "1.5"], "invalid value for '--samples': '1.5' is not a whole"),
        (ASK, ["hi", "--top-p", "x"], "invalid value for '--top-p': 'x' is not a number"),
        (ASK, ["hi", "--threads", "0"], "invalid value for '--threads': 0 is not 1 to 512"),
        (COMPARE, ["--samples", "1025"], "invalid value for '--samples': 1025 is not 1 to 1024"),
        (SHOW, [], "missing argument 'name'"),
        (SHOW, ["--json"], "missing argument 'name'"),
    ],
)
def test_what_is_not_understood_is_refused(verb: Verb, words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(verb, words)


def test_a_misspelled_option_gets_its_neighbours() -> None:
    with pytest.raises(UsageError) as caught:
        parse(ASK, ["--sample", "1"])

    assert caught.value.hint == "did you mean --samples or --spend or --value?"


def test_only_stated_flags_of_a_recipe_are_given_to_it() -> None:
    assert given(ASK, "Why?", "--json", "--threads", "2").recipe == {}
    assert given(COMPARE, "--samples", "3", "--top-p", "1").recipe == {"top_p": 1.0}


def test_no_verb_has_two_options_of_one_spelling() -> None:
    for name in VERBS:
        verb = table(name)
        spellings = [one for option in verb.options for one in option.spellings]
        assert len(spellings) == len(set(spellings)), name
        assert not {"-h", "--help"} & set(spellings), name


def test_an_option_that_a_verb_lacks_is_not_read_by_mistake() -> None:
    found = given(SHOW, "x")

    assert options.VERBOSE not in found
    with pytest.raises(KeyError):
        found[options.VERBOSE]
