"""Servers that misbehave: a right answer or one typed error, no key, and no dollar too many."""

from __future__ import annotations

import html
import json
import re
import traceback
from urllib.parse import unquote

import pytest

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.protocol import Capabilities, CompletionParams
from forethought.contracts.errors import RemoteError
from forethought.cost.prices import Price
from forethought.driver.driver import Driver
from forethought.methods.search.majority_vote import MajorityVote
from forethought.recipes.recipe import Recipe
from forethought.sessions.run_record import RunRecorder
from tests.backends.openai.hostile import bodies, floods, keys, models, streams
from tests.backends.openai.hostile.replies import KEY, Case
from tests.backends.openai.hostile.server import serving
from tests.driver.searches import job

CASES = (*streams.CASES, *bodies.CASES, *floods.CASES, *keys.CASES)
PRICE = Price(prompt=1.0, output=10.0)
CAPABILITIES = Capabilities("toy", logprobs=True, overhead=300)
BUDGET = 0.002
"""Dollars: enough for two answers, and not for three times as many tokens as asked for."""
SPELLED = [KEY, *keys.SPELLED.values()]


@pytest.fixture(scope="module")
def server():
    with serving({case.name: case for case in (*CASES, *models.CASES)}) as found:
        yield found


def patience(case: Case) -> Patience:
    """Short waits only where they are what is tried."""
    return Patience(
        attempts=2,
        first_wait=0.0,
        end_seconds=0.1,
        silence_seconds=0.2 if "sent nothing" in case.error else 30.0,
        reply_seconds=0.3 if case.error == floods.SLOW else 60.0,
        token_seconds=0.0,
    )


def remote(server, case, **changes) -> OpenAIBackend:
    settings = {
        "prices": {"": PRICE},
        "key": KEY,
        "known_capabilities": CAPABILITIES,
        "patience": patience(case),
    }
    endpoint = Endpoint.parse(f"{server.base(case)}#toy")
    return OpenAIBackend(endpoint, CompletionParams(temperature=1.0), **{**settings, **changes})


def asked(server, case, n=2):
    """What becomes of a search that is allowed a few cents."""
    one = job(MajorityVote(n=n), budget=f"${BUDGET}", max_tokens=20)
    with remote(server, case) as backend:
        (done,) = Driver(backend).run([one])
    return done


def shown(done) -> str:
    """All that a person, a program or a file may see of it."""
    if done.error is not None:
        chain = []
        error = done.error
        while error is not None:
            chain += [repr(error), str(vars(error)), *traceback.format_exception(error)]
            error = error.__cause__ or error.__context__
        return "\n".join(chain)
    run = RunRecorder(Recipe(model="http://h/v1#toy")).record(done, 0.0)
    return json.dumps(run.document(), ensure_ascii=False)


def assert_no_key(text: str) -> None:
    """Neither as it is nor in another spelling."""
    plain = html.unescape(unquote(unquote(text))).replace("\\", "")
    for one in (text, plain):
        for spelled in (*SPELLED, KEY[:-3]):
            assert spelled.lower() not in one.lower()


def test_there_are_many_and_none_twice():
    assert len({case.name for case in CASES}) == len(CASES) >= 140


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_misbehaviour_is_an_answer_or_one_typed_error(server, case):
    done = asked(server, case)

    text = shown(done)
    assert_no_key(text)
    paid = (done.cost.usd or 0.0) + (done.lost.usd or 0.0)
    assert paid <= BUDGET + PRICE.usd(case.usage[0], 0, case.usage[1])
    if case.error:
        assert isinstance(done.error, RemoteError)
        assert case.error in done.error.message
        assert done.error.hint
    else:
        assert done.error is None
        assert done.found.best.text == case.answer
        assert done.found.best.finish == case.finish
        assert case.note in " ".join(json.loads(text)["notes"])
        assert PRICE.usd(case.usage[0], 0, 0) > 2 * BUDGET or not done.beyond
    assert server.cookies == []
    assert 1 <= server.asked[case.name] <= case.requests


@pytest.mark.parametrize("case", models.CASES, ids=lambda case: case.name)
def test_an_odd_list_of_models_is_a_name_or_one_typed_error(server, case):
    endpoint = Endpoint.parse(server.base(case))
    with OpenAIBackend(endpoint, key=KEY, patience=patience(case)) as found:
        if not case.error:
            assert found.model == case.answer
            return
        with pytest.raises(RemoteError, match=re.escape(case.error)) as caught:
            _ = found.model
    assert caught.value.hint
    assert_no_key(str(vars(caught.value)))
