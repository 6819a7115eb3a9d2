import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError
from forethought.cost.budget import Limit
from forethought.models.decoder.linear import FORMATS
from forethought.recipes.recipe import WEIGHTS, Recipe

FULL = Recipe(
    model="Qwen/Qwen2.5-1.5B-Instruct",
    draft="qwen-coder-0.5b",
    approximate=("specpc(keep=512)", "snapkv"),
    max_tokens=32,
    temperature=0.7,
    top_k=40,
    top_p=0.9,
    min_p=0.05,
    samples=3,
    stop=("\n", "}"),
    keep_stop=True,
    logprobs=2,
    weights="int4",
    seed=7,
    budget="500tok,2s",
)


def test_a_recipe_is_spelled_model_draft_methods() -> None:
    assert (
        FULL.spelling == "Qwen/Qwen2.5-1.5B-Instruct+draft(qwen-coder-0.5b)+specpc(keep=512)+snapkv"
    )


def test_a_model_that_drafts_for_itself_is_spelled_without_a_draft() -> None:
    assert Recipe(approximate=("specpc(keep=512)",)).spelling == "smollm2+specpc(keep=512)"


@pytest.mark.parametrize(
    "text",
    [
        "smollm2",
        "smollm2+specpc(keep=0.25)",
        "Qwen/Qwen2.5-1.5B+draft(Qwen/Qwen2.5-0.5B)+speckv(keep=64, pool=mean)",
        "'c++/model (1).gguf'+draft('~/it\\'s.gguf')+snapkv",
    ],
)
def test_a_spelling_reads_back_as_written(text: str) -> None:
    assert Recipe.parse(Recipe.parse(text).spelling) == Recipe.parse(text)
    assert Recipe.parse(Recipe.parse(text).spelling).spelling == Recipe.parse(text).spelling


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(categories=["L"])))
def test_any_model_name_reads_back(name: str, other: str) -> None:
    recipe = Recipe(model=f"m{name}", draft=f"{other}+x")

    assert Recipe.parse(recipe.spelling) == recipe


def test_methods_are_kept_in_their_shortest_spelling() -> None:
    long = Recipe.parse("smollm2 + specpc( keep=512, pool='max' ) + snapkv()")

    assert long.approximate == ("specpc(keep=512)", "snapkv")
    assert long == Recipe.parse("smollm2+specpc(keep=512)+snapkv")


def test_json_holds_every_field() -> None:
    changed = {f.name for f in dataclasses.fields(Recipe) if getattr(FULL, f.name) != f.default}

    unset = {"search", "scorer", "confidence", "abstain_below"}  # of several answers
    assert changed == {f.name for f in dataclasses.fields(Recipe)} - unset
    assert Recipe.from_json(FULL.to_json()) == FULL


def test_a_search_is_part_of_a_recipe_and_plain_ones_are_named_as_before() -> None:
    searching = Recipe.parse("smollm2 + snapkv @ majority-vote( n=8 )")

    assert searching.spelling == "smollm2+snapkv@majority-vote"
    assert Recipe.parse(searching.spelling) == searching
    assert Recipe.from_json(searching.to_json()) == searching
    assert "search" not in Recipe().to_json()
    assert "search" not in searching.settings


def test_a_search_draws_warm_unless_told_otherwise() -> None:
    assert Recipe().warmth == 0.0
    assert Recipe(search="majority-vote").warmth == 0.7
    assert Recipe(search="majority-vote", temperature=0).warmth == 0.0
    assert dataclasses.replace(Recipe(), search="majority-vote").warmth == 0.7
    assert Recipe(search="majority-vote", temperature=0.7) == Recipe(search="majority-vote")
    assert Recipe(search="majority-vote", temperature=0.2).settings == {"temperature": 0.2}


@pytest.mark.parametrize(("search", "later"), [("", "majority-vote"), ("majority-vote", "")])
def test_a_stated_temperature_stays_when_the_search_changes(search: str, later: str) -> None:
    usual = Recipe(search=search).warmth
    stated = Recipe(search=search, temperature=usual)

    assert stated == Recipe(search=search)
    assert hash(stated) == hash(Recipe(search=search))
    assert stated.label == Recipe(search=search).label
    assert stated.identifier == Recipe(search=search).identifier
    changed = dataclasses.replace(stated, search=later)
    assert changed.settings == {"temperature": usual}
    assert changed != Recipe(search=later)
    assert changed.warmth == usual


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"search": "majority-vote", "samples": 2}, "draws its own samples"),
        ({"scorer": "likelihood"}, "there is no search"),
        ({"search": "snapkv"}, "no strategy is called"),
        ({"search": "majority-vote(n=0)"}, "n=0"),
    ],
)
def test_a_search_that_cannot_be_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Recipe(**settings)  # type: ignore[arg-type]


def test_more_than_a_strategy_and_a_scorer_is_refused() -> None:
    with pytest.raises(UsageError, match="too many @"):
        Recipe.parse("smollm2@greedy@majority-vote@x")
    with pytest.raises(UnknownNameError, match="no scorer is called"):
        Recipe.parse("smollm2@greedy@majority-vote")


def test_equal_recipes_have_one_identifier_and_others_another() -> None:
    same = Recipe(temperature=1, budget="2 s")
    changes = [{name: getattr(FULL, name)} for name in ("model", "seed", "stop", "budget")]
    others = {dataclasses.replace(same, **change).identifier for change in changes}

    assert same.identifier == Recipe(temperature=1.0, budget="2s").identifier
    assert len(others | {same.identifier}) == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("temperature", "hot"),
        ("top_k", -1),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("samples", 0),
        ("logprobs", 21),
        ("seed", -1),
        ("model", " "),
        ("draft", ""),
        ("stop", ("a", "")),
        ("stop", "abc"),
        ("approximate", ["snapkv"]),
        ("keep_stop", 1),
        ("budget", "plenty"),
    ],
)
def test_a_value_outside_its_limits_is_refused(field: str, value: object) -> None:
    with pytest.raises(BadParameterError):
        Recipe(**{field: value})  # type: ignore[arg-type]


def test_the_limits_themselves_are_allowed() -> None:
    assert Recipe(max_tokens=1, temperature=2, top_p=0, min_p=1, samples=1, seed=0, logprobs=20)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", BadParameterError),
        ("+snapkv", BadParameterError),
        ("smollm2+", UsageError),
        ("smollm2+snap", UnknownNameError),
        ("smollm2+draft(a)+draft(b)", UsageError),
        ("smollm2+snapkv(keep=0)", BadParameterError),
    ],
)
def test_a_wrong_spelling_is_refused(text: str, error: type[UsageError]) -> None:
    with pytest.raises(error):
        Recipe.parse(text)


def test_an_unknown_weight_format_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError) as caught:
        Recipe(weights="int5")

    assert "int4" in caught.value.hint


@pytest.mark.parametrize("text", ["{", "[]", '{"modle": "x"}', '{"seed": "1"}', '{"stop": [1]}'])
def test_json_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Recipe.from_json(text)


def test_the_budget_is_read() -> None:
    assert FULL.limit == Limit(tokens=500, seconds=2.0)


def test_the_weight_formats_are_those_a_decoder_runs_with() -> None:
    assert WEIGHTS == FORMATS


def test_a_budget_that_gives_some_samples_nothing_is_refused() -> None:
    with pytest.raises(BadParameterError, match="2 tokens is less than one token for each of 5"):
        Recipe(samples=5, budget="2tok")
