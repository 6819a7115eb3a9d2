"""schemathesis: random requests by the OpenAPI document never fail the server."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.server.served import QUESTION, serving

FEW = {"max_tokens": 4, "max_output_tokens": 4, "max_completion_tokens": 4}
MODES = pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())


@pytest.fixture(scope="module")
def described():
    """A server with narrow limits, and its document."""
    with serving(max_tokens=8, max_total_tokens=64, max_choices=3) as running:
        schema = schemathesis.openapi.from_dict(running.get("/openapi.json").json())
        schema.config.base_url = running.url
        yield running, schema


BASES = {
    "/v1/chat/completions": {"messages": QUESTION},
    "/v1/completions": {"prompt": "x"},
    "/v1/responses": {"input": "x"},
}
"""Requests that are answered; random fields are added to them."""


def bounded(case, mode):
    """The case with few tokens; in positive mode one of its fields, so that more are answered."""
    if isinstance(case.body, dict):
        base = BASES.get(case.path)
        if mode is GenerationMode.POSITIVE and base is not None:
            optional = sorted(case.body.keys() - base.keys() - {"model"})
            chosen = optional[len(str(case.body)) % len(optional) :][:1] if optional else []
            case.body = {**base, **{name: case.body[name] for name in chosen}}
        stated = {name: case.body[name] for name in FEW if isinstance(case.body.get(name), int)}
        case.body.update({name: min(FEW[name], value) for name, value in stated.items()})
    return case


def ask(operation, mode, examples):
    """The statuses of random requests; fails if one is the server's own failure."""
    statuses = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        reply = bounded(case, mode).call(timeout=60)
        statuses.append(reply.status_code)
        assert reply.status_code < 500, (operation.label, case.body, case.query, reply.text)
        assert "Traceback" not in reply.text
        if reply.status_code >= 400:
            found = json.loads(reply.text)  # /v1/systemone has a shape of its own
            assert found["error"]["message"] if "error" in found else found["detail"]

    check()
    return statuses


def check_all(described, mode, examples):
    running, schema = described
    found = {
        operation.label: ask(operation, mode, examples)
        for operation in (one.ok() for one in schema.get_all_operations())
        if mode is GenerationMode.POSITIVE or operation.body or operation.query
    }

    assert all(found.values())
    assert len(found) >= 5
    assert running.chat(max_tokens=1).status_code == 200
    assert running.server.engine.in_progress == 0
    return found


@MODES
def test_random_requests_never_fail_the_server(described, mode):
    found = check_all(described, mode, 4)

    if mode is GenerationMode.POSITIVE:
        assert 200 in found["POST /v1/completions"]
    else:
        assert not {200} & {*found["POST /detokenize"]}


@pytest.mark.slow
@MODES
def test_many_random_requests_never_fail_the_server(described, mode):
    check_all(described, mode, 300)
