"""Questions to a server by recipe: a real process answers."""

from dataclasses import replace

import pytest

from forethought.cli.main import exit_code
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe
from forethought.reports.terminal.panel import panel
from forethought.sessions.ask import ask, conversation


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


@pytest.mark.parametrize("way", [{}, {"search": "majority-vote(n=2)"}])
def test_an_answer_that_is_cut_within_a_letter_ends_before_it(toy, way):
    """Servers send marks in the place of bytes that make up no letter yet."""
    toy.set(law="halves")

    for count, text in ((4, "a\ufffd\ufffda"), (5, "a\ufffd\ufffda"), (6, "a\ufffd\ufffda")):
        run = ask("What?", replace(recipe(toy, **way), max_tokens=count))
        assert (run["answer"], run["finish"]) == (text, "length")
        assert {one["tokens"] for one in run["candidates"]} <= {count}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"approximate": ("snapkv",)}, "snapkv works on the KV cache"),
        ({"approximate": ("minference",)}, "minference works on the KV cache"),
        ({"approximate": ("quantised-kv(bits=4)",)}, "quantised-kv.* works on the KV cache"),
        ({"approximate": ("speckv-pc",), "draft": "smollm2"}, "speckv-pc works on the KV cache"),
        (
            {"approximate": ("specpc-shallow(keep=8MiB)",), "draft": "smollm2"},
            "bytes of a KV cache",
        ),
        ({"approximate": ("specpc-shallow",)}, "asks a draft"),
        ({"approximate": ("auto",)}, "auto chooses methods by the costs of a local model"),
        ({"draft": "http://127.0.0.1:9/v1"}, "is a server"),
        ({"weights": "int4"}, "--weights needs a local model"),
        ({"logprobs": 2}, "--logprobs and --keep-stop need"),
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


def test_the_answer_is_on_standard_output_and_its_price_in_the_panel(toy, capsys):
    model = f"{toy.base}/v1#toy"
    assert (
        exit_code(["ask", "What?", "-m", model, "--price", "toy=1/10", "--max-tokens", "20"]) == 0
    )

    out, err = capsys.readouterr()
    assert out == "a\na\na\n"
    assert "$0.000067" in err
    assert "drawn" not in err
    assert "first token" in err


def test_several_samples_are_all_shown(toy, capsys):
    model = f"{toy.base}/v1#toy"
    exit_code(["ask", "What?", "-m", model, "--samples", "3", "--temperature", "1", "-q"])

    out = capsys.readouterr().out
    assert [line[:3] for line in out.splitlines() if line.startswith("[")] == ["[1]", "[2]", "[3]"]


def test_a_budget_in_dollars_is_held_where_a_price_is_stated(toy):
    voting = recipe(toy, search="majority-vote(n=8)", budget="$0.0004")
    run = ask("What?", voting, prices=["1/10"])

    assert 0 < run["cost"]["usd"] <= 0.0004
    assert len([one for one in run["candidates"] if one["finish"] == "budget"]) > 0


def test_finding_out_what_a_server_can_do_is_no_part_of_the_search_s_time(toy):
    toy.set(delay=0.02)
    run = ask("What?", replace(recipe(toy, budget="9s"), max_tokens=1))

    # Finding out takes several answers, this one token of one.
    assert run["cost"]["output_tokens"] == 1
    assert 0 < run["cost"]["seconds"] < run["timing"]["load"]


def test_a_scorer_that_nothing_asks_is_refused_on_servers_too(toy):
    with pytest.raises(UsageError, match="asks no scorer"):
        ask("What?", recipe(toy, search="majority-vote(n=2)", scorer="likelihood"))


def test_a_price_of_a_model_that_is_not_asked_is_refused(toy):
    with pytest.raises(UsageError, match="--price names tay, which no request goes to") as refused:
        ask("What?", recipe(toy), prices=["tay=1/10", "2/20"])
    assert "--price 'toy=" in refused.value.hint


def test_a_price_of_a_model_that_runs_here_is_refused():
    with pytest.raises(UsageError, match="local models have no price"):
        ask("What?", "smollm2", prices=["1/10"])
