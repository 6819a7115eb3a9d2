"""What a comparison's names stand for."""

import pytest

from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid

BASE = Recipe(model="qwen-coder-1.5b", draft="smollm2", temperature=0.5)


def spelled(*names, keeps=()):
    return [recipe.spelling for recipe in recipe_grid(names, BASE, keeps)]


def test_methods_go_on_top_of_the_model_and_a_draft_only_where_it_is_run():
    assert spelled("exact", "snapkv", "specpc(keep=0.5)") == [
        "qwen-coder-1.5b",
        "qwen-coder-1.5b+snapkv",
        "qwen-coder-1.5b+draft(smollm2)+specpc(keep=0.5)",
    ]


def test_a_contender_may_name_its_own_draft_or_model():
    assert spelled("draft(qwen-coder-0.5b)+specpc", "gemma3-270m+knorm", "./m.gguf") == [
        "qwen-coder-1.5b+draft(qwen-coder-0.5b)+specpc",
        "gemma3-270m+knorm",
        "./m.gguf",
    ]


def test_a_method_with_the_path_of_a_file_is_no_model():
    assert spelled("kvzap(predictor='./maps/m.safetensors')", "Embedding(encoder='/e')") == [
        "qwen-coder-1.5b+kvzap(predictor=./maps/m.safetensors)",
        "qwen-coder-1.5b+embedding(encoder=/e)",
    ]


def test_other_settings_are_those_of_the_command():
    assert {recipe.temperature for recipe in recipe_grid(["exact", "gemma3-270m"], BASE)} == {0.5}


def test_budgets_go_to_methods_that_leave_theirs_open():
    assert spelled("snapkv", "h2o(keep=64)", "exact", keeps=[128, 0.25, "4MiB"]) == [
        "qwen-coder-1.5b+snapkv(keep=128)",
        "qwen-coder-1.5b+snapkv(keep=0.25)",
        "qwen-coder-1.5b+snapkv(keep=4MiB)",
        "qwen-coder-1.5b+h2o(keep=64)",
        "qwen-coder-1.5b",
    ]


def test_of_several_methods_the_last_with_a_budget_gets_it():
    assert spelled("truncate(keep=0.5)+snapkv+quantised-kv", keeps=[128]) == [
        "qwen-coder-1.5b+truncate(keep=0.5)+snapkv(keep=128)+quantised-kv"
    ]


def test_the_same_recipe_twice_is_one():
    assert spelled("snapkv", "snapkv(keep=1024)", "exact", "exact") == [
        "qwen-coder-1.5b+snapkv",
        "qwen-coder-1.5b",
    ]


@pytest.mark.parametrize("name", ["snap-kv", "smolm2+snapkv", "exactly"])
def test_a_name_of_nothing_is_an_error(name):
    with pytest.raises(UnknownNameError):
        spelled(name)


def test_auto_is_no_contender():
    with pytest.raises(UsageError, match="auto chooses methods for one prompt"):
        spelled("auto")


def test_a_budget_that_nothing_takes_is_an_error():
    with pytest.raises(UsageError, match="no method takes the budget"):
        spelled("exact", "snapkv(keep=64)", keeps=[128])


def test_a_strategy_stands_behind_an_at_or_alone():
    assert spelled("majority-vote(n=4)", "snapkv@greedy", "exact", keeps=[64]) == [
        "qwen-coder-1.5b@majority-vote(n=4)",
        "qwen-coder-1.5b+snapkv(keep=64)@greedy",
        "qwen-coder-1.5b",
    ]
    with pytest.raises(UsageError, match="too many @"):
        spelled("snapkv@greedy@a@b")


def test_a_stated_temperature_holds_for_searches_too():
    found = recipe_grid(["exact", "@majority-vote"], Recipe(temperature=0))

    assert [recipe.warmth for recipe in found] == [0, 0]


def test_a_search_draws_at_its_usual_temperature_where_none_is_stated():
    found = recipe_grid(["exact", "majority-vote"], Recipe(model="smollm2"))
    assert [recipe.warmth for recipe in found] == [0.0, 0.7]


def test_a_budget_limits_searches_and_no_plain_answer():
    base = Recipe(model="qwen-coder-1.5b", budget="500tok")
    found = recipe_grid(["exact", "snapkv", "majority-vote(n=4)", "snapkv@beam@likelihood"], base)

    assert [recipe.budget for recipe in found] == ["", "", "500tok", "500tok"]
    with pytest.raises(UsageError, match="no recipe has one"):
        recipe_grid(["exact", "snapkv"], base)
