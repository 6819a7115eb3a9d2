"""Questions to a server by recipe: a real process answers."""

import pytest

from forethought.contracts.errors import UsageError
from forethought.reports.panel import panel
from forethought.runs.ask import ask, conversation
from forethought.runs.recipe import Recipe


def recipe(toy, **settings):
    return Recipe(model=f"{toy.base}/v1#toy", max_tokens=20, **settings)


def test_a_plain_answer_is_the_likeliest(toy):
    run = ask("What?", recipe(toy))

    assert run["answer"] == "a\na\na\n"
    assert run["recipe"].endswith("#toy")
    assert run["cost"]["output_tokens"] == 6
    assert run["cost"]["flops"] == 0
    assert "FLOP" not in panel(run, width=100, colour=False)


def test_a_search_on_a_server_is_a_search(toy):
    run = ask("What?", recipe(toy, search="majority-vote(n=5)", budget="24tok"), document="D")

    assert len(run["candidates"]) == 5
    assert run["cost"]["output_tokens"] <= 24
    assert run["settings"]["budget"] == "24tok"
    assert run == {**ask("What?", recipe(toy, search="majority-vote(n=5)", budget="24tok"),
                         document="D"), "cost": run["cost"], "timing": run["timing"]}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"approximate": ("snapkv",)}, "runs on a server"),
        ({"logprobs": 2}, "not asked for --logprobs"),
        ({"budget": "1TFLOP"}, "FLOPs cannot be held"),
        ({"budget": "$0.01"}, "price of toy is not known"),
    ],
)
def test_what_a_server_cannot_do_is_refused(toy, settings, said):
    with pytest.raises(UsageError, match=said):
        ask("What?", recipe(toy, **settings))


def test_a_conversation_stays_on_this_machine(toy):
    with pytest.raises(UsageError, match="on this machine"):
        conversation(recipe(toy))
