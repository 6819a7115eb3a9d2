"""Searches on a server of the OpenAI kind: the same as on the law it writes by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.backends.known import sequences
from forethought.backends.openai.protocol import CompletionParams, request_seed
from forethought.contracts.backend import VerdictRequest
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate, Found, Strategy, write
from forethought.cost.budget import spend_limit
from forethought.cost.prices import Price
from forethought.driver.driver import Driver
from forethought.methods.search.majority_vote import MajorityVote
from tests.backends.openai.openai_server import LAWS, NUMBERS, PROMPT_TOKENS
from tests.backends.openai.remote_asks import PRICES, first_letter, known, outcome_of, request, told
from tests.driver.searches import job, searched, three_steps


class Steps(Strategy):
    """Two answers, step by step; of each step the first child."""

    needs = frozenset({"steps"})

    def search(self, start, rng):
        answers = yield from write([start] * 2, until="step", delimiter="\n")
        while not all(one.done for one in answers):
            answers = yield from write(answers, until="step", delimiter="\n")
        return Found(answers[0], tuple(answers))


@pytest.mark.parametrize("seed", [0, 7])
def test_a_search_finds_exactly_what_it_finds_on_the_law(remote, seed):
    done = searched(MajorityVote(n=9), backend=remote, seed=seed)

    assert told(done) == known(MajorityVote(n=9), seed=seed)
    assert len({one.text for one in done.found.considered}) > 3
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered)
    assert done.cost.prompt_tokens == 9 * PROMPT_TOKENS
    assert done.cost.usd == pytest.approx((9 * PROMPT_TOKENS + 10 * done.cost.output_tokens) / 1e6)


def test_seeds_change_what_is_drawn_with_seed_stream_and_place():
    base = request()
    later = request(parent=Candidate(tokens=3))
    seeds = {request_seed(one) for one in (base, later, request(stream=1), request(seed=1))}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("stops", ["kept", "told", "watched"])
@pytest.mark.parametrize("chat", [True, False])
def test_steps_are_those_of_the_law_however_the_server_tells_of_their_ends(toy, stops, chat):
    toy.set(stops=stops, chat=chat)
    with toy.remote("toy") as remote:
        assert (remote.capabilities.stops, remote.capabilities.chat) == (stops, chat)
        done = searched(Steps(), backend=remote)

    assert told(done) == known(Steps())
    assert all(step.endswith("\n") for one in done.found.considered for step in one.steps[:-1])


def test_a_server_that_trims_beginnings_gives_steps_without_doubled_spaces(toy):
    toy.set(trims=True)
    with toy.remote("toy") as remote:
        assert remote.capabilities.trims
        parent = Candidate(path=(0,), question="judge nothing", steps=("a\n",), tokens=2)
        found = outcome_of(remote, request(parent=replace(parent, question="q"), until="step"))

    # The server writes the line's end again, which the beginning had already.
    assert found.piece.text in ("a\n", "b\n", "c\n")
    assert found.piece.finish == "step"


def test_a_short_lease_is_gone_on_from(remote):
    enough = searched(MajorityVote(n=4), backend=remote).cost.output_tokens
    # Answers of 6 tokens, and room for the end that each must still show.
    done = searched(MajorityVote(n=4), backend=remote, budget=f"{enough + 4}tok", max_tokens=30)
    assert [one.finish for one in done.found.considered] == ["stop"] * 4
    assert done.cost.output_tokens == enough
    assert set(one.text for one in done.found.considered) <= set(sequences(three_steps))


def test_where_beginnings_are_not_gone_on_from_a_short_lease_is_the_budgets_end(toy):
    toy.set(continues=False)
    with toy.remote("toy") as remote:
        done = searched(MajorityVote(n=4), backend=remote, budget="20tok")
        with pytest.raises(UsageError, match="steps"):
            searched(Steps(), backend=remote)
        lost = outcome_of(
            remote, request(parent=Candidate((0,), steps=("a",), tokens=1), path=(0, 0))
        )

    assert {one.finish for one in done.found.considered} == {"budget"}
    assert [one.tokens for one in done.found.considered] == [5] * 4
    assert "cannot continue" in str(lost.error)


@pytest.mark.parametrize("budget", ["13tok", "$0.0004", "40tok,$0.0005"])
def test_no_budget_is_overshot(remote, budget):
    done = searched(MajorityVote(n=8), backend=remote, budget=budget)
    limit = spend_limit(budget)
    assert done.cost.output_tokens <= (limit.tokens or 10**9)
    assert done.cost.usd <= (limit.usd or 1.0)
    assert done.budget_spent


def test_a_budget_that_cannot_be_held_is_refused_before_anything_is_spent(toy):
    with toy.remote() as remote:
        with pytest.raises(UsageError, match="price of toy is not known"):
            searched(MajorityVote(n=1), backend=remote, budget="$1")
        with pytest.raises(UsageError, match="FLOPs"):
            searched(MajorityVote(n=1), backend=remote, budget="1TFLOP")
        remote.check_limits(spend_limit("500tok,2s").kinds)
        assert toy.told()["asked"] == []
        done = searched(MajorityVote(n=1), backend=remote)
    assert done.cost.usd is None
    with toy.remote("toy", prices=PRICES) as remote:
        remote.check_limits(spend_limit("$1").kinds)


def test_counts_that_the_server_does_not_tell_are_made_from_what_came(toy):
    toy.set(usage=False)
    with toy.remote("toy", prices=PRICES) as remote:
        done = searched(MajorityVote(n=3), backend=remote)
        assert told(done) == known(MajorityVote(n=3))
        assert done.cost.output_tokens == 18
        assert done.cost.prompt_tokens >= 3 * PROMPT_TOKENS

    toy.set(usage=False, logprobs=False, law="wide")
    with toy.remote("toy") as remote:
        assert "log-probabilities" not in remote.abilities
        whole = outcome_of(remote, request(key="whole"))
        part = outcome_of(remote, request(key="part", max_tokens=2))
    # As many as there are bytes, and one for the end: never fewer than there were.
    assert whole.cost.output_tokens == len(whole.piece.text.encode()) + 1 <= 10
    assert part.piece.tokens == part.cost.output_tokens == 2
    assert part.piece.finish == "length"


def test_prompts_that_are_not_counted_are_counted_by_rule_and_bounded_by_bytes(toy):
    toy.set(usage="whole")
    with toy.remote("toy") as remote:
        (bound,) = remote.bounds([request()])
        found = outcome_of(remote, request())
    assert bound.once.prompt_tokens == PROMPT_TOKENS + len("What?")
    assert found.cost.prompt_tokens == PROMPT_TOKENS + 2


def test_a_server_that_tells_of_tokens_only_beside_the_likeliest_is_asked_for_those(toy):
    toy.set(logprobs="top")
    with toy.remote("toy") as remote:
        assert told(searched(MajorityVote(n=3), backend=remote)) == known(MajorityVote(n=3))


def test_a_server_that_does_not_stream_is_understood(toy):
    toy.set(sse=False)
    with toy.remote("toy") as remote:
        assert told(searched(MajorityVote(n=3), backend=remote)) == known(MajorityVote(n=3))


def test_cached_prompt_tokens_are_told_and_have_their_price(toy):
    toy.set(cached=5)
    with toy.remote("toy", prices={"toy": Price(10.0, 0.0, cached=1.0)}) as remote:
        found = outcome_of(remote, request())
    assert (found.cost.prompt_tokens, found.cost.cached_tokens) == (PROMPT_TOKENS - 5, 5)
    assert found.cost.usd == pytest.approx((2 * 10 + 5 * 1) / 1e6)


def test_verdicts_are_the_chances_of_the_choices_among_themselves(toy, remote):
    asked = VerdictRequest("j", "run", ("judge a", "judge b"), ("Yes", "no"))
    found = outcome_of(remote, asked)
    assert found.chances == (pytest.approx((0.75, 0.25)),) * 2
    assert found.cost.scoring_tokens == 2 * PROMPT_TOKENS
    assert found.cost.usd == pytest.approx(2 * (PROMPT_TOKENS + 10) / 1e6)
    (bound,) = remote.bounds([asked])
    assert bound.once.usd >= found.cost.usd

    toy.set({"status": 500}, None, {"drop": 0})
    assert outcome_of(remote, asked).chances == found.chances

    lost = outcome_of(remote, replace(asked, choices=("left", "right")))
    assert "none of left, right" in str(lost.error)
    assert lost.cost.scoring_tokens == PROMPT_TOKENS  # the first goes alone, its error ends all


def test_documents_systems_and_settings_are_sent(toy):
    params = CompletionParams(
        temperature=0.3, top_p=0.9, top_k=5, stop=("END",), system="Be brief."
    )
    with toy.remote("toy", params=params) as remote:
        assert remote.abilities
        toy.set()
        question = Question("q", "What?", document="A tale.")
        outcome_of(remote, request(question=question))
        (body,) = toy.told()["asked"]
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "A tale.\n\nWhat?"},
    ]
    settings = {name: body.get(name) for name in ("temperature", "top_p", "top_k", "stop", "min_p")}
    assert settings == {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
        "min_p": None,
    }


def test_texts_that_end_an_answer_are_no_part_of_it(toy):
    first = first_letter()
    with toy.remote("toy", params=CompletionParams(stop=("\n",))) as remote:
        assert outcome_of(remote, request(temperature=1.0)).piece.text == first
        # In a step, the server is asked to keep the text it stops at: ours goes nonetheless.
        step = outcome_of(remote, request(temperature=1.0, until="step", delimiter="zz"))
        assert (step.piece.text, step.piece.finish) == (first, "stop")


@pytest.mark.parametrize("chat", [False, True])
def test_a_text_that_begins_in_one_step_and_ends_in_the_next_is_no_part_of_the_answer(toy, chat):
    """The server sees only what it writes itself, so it cannot stop there."""
    toy.set(chat=chat)
    before = Candidate((0,), steps=("a\n",), tokens=2)
    stop = ("a\nno", "\na", "\nb", "\nc")
    with toy.remote("toy", params=CompletionParams(temperature=1.0, stop=stop)) as remote:
        asked = request(parent=before, until="step", delimiter="\n", temperature=1.0)
        piece = outcome_of(remote, asked).piece

    assert piece.finish == "stop"
    assert before.grown(0, piece).text == "a"


def test_raw_prompts_are_laid_out_as_told(toy):
    with toy.remote("toy", raw=lambda question: f"<{question}>") as remote:
        assert not remote.capabilities.chat
        toy.set()
        outcome_of(remote, request(parent=Candidate((0,), steps=("a\n",), tokens=2)))
        (body,) = toy.told()["asked"]
    assert body["prompt"] == "<What?>a\n"


def test_prompts_are_bounded_by_bytes_until_they_are_counted(remote):
    fresh = request(question=Question("q", "Où? " * 10))
    (bound,) = remote.bounds([fresh])
    assert bound.once.prompt_tokens >= 50
    outcome_of(remote, fresh)
    (again,) = remote.bounds([fresh])
    assert again.once.prompt_tokens == PROMPT_TOKENS
    assert again.token.usd == pytest.approx(10 / 1e6)
    remote.release("run")
    assert remote.bounds([fresh]) == [bound]


def test_searches_together_are_what_they_are_alone(toy, remote):
    jobs = [job(MajorityVote(n=3), run=f"run {seed}", seed=seed) for seed in range(6)]
    found = {done.job.seed: told(done) for done in Driver(remote).run(jobs)}
    for seed in range(6):
        assert found[seed] == known(MajorityVote(n=3), seed=seed)


def test_the_toy_counts_as_the_probe_expects():
    assert NUMBERS.startswith("one\n\ntwo\n\nthree")
    assert set(LAWS) == {"three_steps", "coin", "long", "halves", "wide"}
