"""Strategies by difficulty, on laws that are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought import catalogue
from forethought.backends.known import KnownBackend
from forethought.contracts.errors import BadDataError, BadParameterError, UsageError
from forethought.contracts.plan import DifficultyBin, DifficultyPlan, read_plan
from forethought.methods.search.difficulty_router import DifficultyRouter
from tests.driver.searches import Rule, coin, searched, three_steps

VOTES = ["greedy", "majority-vote(n=2)", "majority-vote(n=9)", "majority-vote(n=8, confident=0.9)",
         "rpc(n=6)", "hedged(n=3)"]  # fmt: skip


def plan(*strategies, probe=4, by="agreement", limits=(1.0, 0.75, 0.0)):
    few = limits[-len(strategies) :]
    return DifficultyPlan(
        tuple(DifficultyBin((at, 0.0), s) for at, s in zip(few, strategies, strict=True)), probe, by
    )


@pytest.fixture
def kept(tmp_path):
    def keep(held, name="plan.json"):
        path = tmp_path / name
        path.write_text(held if isinstance(held, str) else held.text())
        return str(path)

    return keep


def said(found):
    return [(one.text, one.path, one.finish) for one in found.considered], found.weights


@pytest.mark.parametrize("strategy", [*VOTES, "beam(n=2)"])
def test_a_plan_of_one_bin_is_its_strategy_token_for_token(kept, strategy):
    router = DifficultyRouter(kept(plan(strategy, probe=0)))
    scorer = Rule(lambda text: 0.5)
    for seed in range(4):
        alone = searched(catalogue.build(strategy, "strategies"), seed=seed, scorer=scorer)
        found = searched(router, seed=seed, scorer=scorer)
        assert said(found.found) == said(alone.found)
        assert found.found == alone.found
        assert (found.cost, found.written) == (alone.cost, alone.written)


@pytest.mark.parametrize("strategy", VOTES[1:5])
def test_a_vote_goes_on_with_the_probes_answers(kept, strategy):
    router = DifficultyRouter(kept(plan(strategy, strategy)))
    for seed in range(8):
        alone = searched(catalogue.build(strategy, "strategies"), seed=seed)
        found = searched(router, seed=seed)
        assert said(found.found) == said(alone.found)
        assert found.found.best == alone.found.best
        assert found.written == max(alone.written, 4)
        assert len(found.found.pruned) == found.written - len(alone.found.considered)


def test_what_has_no_use_for_the_probe_pays_it_besides(kept):
    router = DifficultyRouter(kept(plan("greedy", "greedy")))
    done, alone = searched(router), searched(catalogue.build("greedy", "strategies"))
    assert done.found.best.text == alone.found.best.text
    assert len(done.found.pruned) == 4
    assert done.written == 5
    pruned = sum(one.tokens for one in done.found.pruned)
    assert done.cost.output_tokens == alone.cost.output_tokens + pruned


def chosen(done):
    return done.found.notes[0].split("): ")[1].split(";")[0]


def test_each_question_goes_the_way_of_its_agreement(kept):
    ways = ["greedy", "majority-vote(n=5)", "majority-vote(n=9)"]
    router = DifficultyRouter(kept(plan(*ways)))
    seen = set()
    for seed in range(24):
        probe = searched(catalogue.build("majority-vote(n=4)", "strategies"), coin(0.6), seed=seed)
        counts = [one.text for one in probe.found.considered]
        most = max(map(counts.count, counts))
        done = searched(router, coin(0.6), seed=seed)
        seen.add(chosen(done))
        assert chosen(done) == ways[{4: 0, 3: 1, 2: 2}[most]]
    assert seen == set(ways)


def test_the_likelihood_may_tell_and_decides_among_equals(kept):
    likely, unlikely = coin(0.9, 1), coin(0.5, 1)
    bins = (DifficultyBin((0.8, 0.0), "greedy"), DifficultyBin((0.0, 0.0), "majority-vote(n=6)"))
    router = DifficultyRouter(kept(DifficultyPlan(bins, 3, "likelihood")))
    assert router.needs == {"log-probabilities"}
    assert chosen(searched(router, unlikely)) == "majority-vote(n=6)"
    assert any(chosen(searched(router, likely, seed=seed)) == "greedy" for seed in range(4))

    def always(chance):
        return lambda question, text: {"a": chance, "b": 1 - chance} if not text else {"": 1.0}

    equal = (DifficultyBin((1.0, 0.8), "greedy"), DifficultyBin((0.0, 0.0), "majority-vote(n=6)"))
    router = DifficultyRouter(kept(DifficultyPlan(equal, 2, "agreement")))
    ways = {(chance, seed): chosen(searched(router, always(chance), seed=seed))
            for chance in (0.6, 0.99) for seed in range(6)}  # fmt: skip
    assert {ways[0.6, seed] for seed in range(6)} == {"majority-vote(n=6)"}
    assert "greedy" in {ways[0.99, seed] for seed in range(6)}


def test_a_budget_that_ends_the_probe_ends_the_search_with_it(kept):
    router = DifficultyRouter(kept(plan("majority-vote(n=5)", "majority-vote(n=9)")))
    for budget in (1, 5, 14, 27, 40):
        done = searched(router, budget=f"{budget}tok")
        assert done.cost.output_tokens <= budget
        assert done.found.best.text
    assert searched(router, budget="14tok").written == 4


def test_a_verdict_that_cannot_be_paid_is_told_to_the_bins_strategy(kept):
    # adaptive answers by what it has where no verdict is paid any more.
    router = DifficultyRouter(kept(plan("adaptive(n=6)", "adaptive(n=6)")))
    backend = KnownBackend(three_steps, verdict_flops=1e9)
    done = searched(router, backend=backend, budget="100FLOP")
    assert done.found.best.whole
    assert done.found.notes[0].startswith("difficulty")
    assert done.budget_spent


def test_what_its_strategies_need_is_needed(kept):
    router = DifficultyRouter(kept(plan("greedy", "beam", "cascade")))
    assert router.needs == {"steps", "draft"}
    assert router.scores
    assert not router.draws_alike
    with pytest.raises(UsageError, match="ranks candidates by a scorer"):
        searched(router, backend=KnownBackend(three_steps, drafted=three_steps))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "{", "not JSON"),
        (lambda text: "[]", "its kind is not"),
        (lambda text: text.replace("difficulty plan", "shopping list"), "its kind is not"),
        (lambda text: text.replace('"version": 1', '"version": 7'), "its version is 7"),
        (lambda text: text.replace('"probe"', '"prob"'), "missing or has the wrong type"),
        (lambda text: text.replace('"probe": 4', '"probe": 0'), "probe=0 must"),
        (lambda text: text.replace('"probe": 4', '"probe": "4"'), "probe=.4. must"),
        (lambda text: text.replace('"agreement"', '"mood"'), "is not one of agreement"),
        (lambda text: text.replace("0.75", "-0.5"), "are not in order from easy to hard"),
        (lambda text: text.replace("0.75", "NaN"), "a limit is not a number"),
        (lambda text: text.replace("0.75", '"x"'), "missing or has the wrong type"),
    ],
)
def test_what_is_no_plan_is_refused_before_anything_is_asked(kept, change, why):
    text = plan("greedy", "majority-vote(n=8)").text()
    assert change(text) != text
    known = KnownBackend(three_steps)
    with pytest.raises(BadDataError, match=why):
        searched(DifficultyRouter(kept(change(text))), backend=known)
    assert not known.asked


def test_plans_that_are_not_there_or_name_what_is_not_are_refused(kept, tmp_path):
    with pytest.raises(BadDataError, match="cannot be read"):
        searched(DifficultyRouter(str(tmp_path / "none.json")))
    (tmp_path / "letters").write_bytes(b"\xff\xfe")
    with pytest.raises(BadDataError, match="cannot be read"):
        searched(DifficultyRouter(str(tmp_path / "letters")))
    with pytest.raises(UsageError, match="no strategy is called"):
        searched(DifficultyRouter(kept(plan("greed", "majority-vote"))))
    itself = f"difficulty-router(plan='{tmp_path}/plan.json')"
    with pytest.raises(BadDataError, match="sends questions on"):
        searched(DifficultyRouter(kept(plan("greedy", itself))))
    with pytest.raises(BadDataError, match="has no bins"):
        read_plan(replace(plan("greedy"), bins=()).text(), "it")
    with pytest.raises(BadParameterError, match="needs plan"):
        catalogue.build("difficulty-router", "strategies")


def test_a_plan_that_has_changed_is_refused_where_its_digest_is_stated(kept):
    held = plan("greedy", "majority-vote(n=8)")
    path = kept(held)
    assert searched(DifficultyRouter(path, held.digest)).found == searched(
        DifficultyRouter(path)
    ).found  # fmt: skip
    kept(replace(held, probe=3))
    with pytest.raises(BadDataError, match="is another one"):
        searched(DifficultyRouter(path, held.digest))


def test_a_question_at_the_limit_of_a_bin_is_in_it():
    held = plan("greedy", "rpc", "beam", limits=(1.0, 0.75, 0.5))
    signs = [(1.0, 0.0), (0.99, 1.0), (0.75, 0.0), (0.74, 1.0), (0.5, 0.0), (0.1, 0.0)]
    assert [held.bin_of(*both) for both in signs] == [0, 1, 1, 2, 2, 2]


def test_a_plan_is_read_as_it_was_written():
    held = DifficultyPlan(
        (DifficultyBin((0.1 + 0.2, 1 / 3), "greedy"),
         DifficultyBin((0.25, 0.0), "majority-vote(n=8)")),
        4, "likelihood", "smollm2", ("addition",), {"gain": [0.1, 0.0, 0.2]},
    )  # fmt: skip
    assert read_plan(held.text(), "it") == held
    assert read_plan(held.text(), "it").digest == held.digest
