"""Health, readiness, models, metrics and the OpenAPI document."""

import threading

import pytest
from openai import NotFoundError
from prometheus_client.parser import text_string_to_metric_families

from forethought.contracts.errors import DamagedFileError
from forethought.server.listening import bound_socket
from forethought.server.running import ModelServer
from tests.server.served import MODELS, Served, data_lines, error_of, serving, until


def values_of(served):
    """The value of each metric without buckets, by name and own labels."""
    return {
        (sample.name, sample.labels.get("finished_reason", "")): sample.value
        for family in text_string_to_metric_families(served.get("/metrics").text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def grown(served, act):
    before = values_of(served)
    act()
    after = values_of(served)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_models_are_listed_for_the_official_client(served):
    found = {model.id: model for model in served.client().models.list()}

    assert found.keys() == {"tiny", "small"}
    assert all(model.object == "model" for model in found.values())
    assert all(model.owned_by == "forethought" for model in found.values())
    assert found["tiny"].max_model_len == MODELS["tiny"].shape.context
    assert found["tiny"].recipe == "tiny+draft(small)"
    assert served.client().models.retrieve("small") == found["small"]
    with pytest.raises(NotFoundError, match="served: tiny, small"):
        served.client().models.retrieve("big")


def test_readiness_waits_for_the_models_and_health_does_not():
    may_load = threading.Event()
    slow = dict(MODELS)

    class Waiting(Served):
        def __enter__(self):
            self._thread.start()
            return self

    def load(name, weights):
        may_load.wait(30)
        return slow[name]

    running = Waiting(MODELS)
    running.server.load = load
    with running:
        until(lambda: running.get("/health").status_code == 200)
        for path in ("/ready", "/tokenizer_info"):
            reply = running.get(path)
            assert error_of(reply, 503)["code"] == "not_ready"
            assert reply.headers["retry-after"]
        error_of(running.chat(), 503)
        error_of(running.complete(), 503)
        assert running.get("/v1/models").json()["data"][0]["max_model_len"] is None
        may_load.set()
        until(lambda: running.get("/ready").status_code == 200)
        assert running.chat().status_code == 200


def test_a_model_that_does_not_load_ends_the_server_with_its_error():
    def load(name, weights):
        raise DamagedFileError("the file is damaged")

    running = Served(MODELS)
    server = ModelServer(running.settings, load, running.server.log_file)
    with bound_socket("127.0.0.1", 0) as listening, pytest.raises(DamagedFileError):
        server.run(listening, lambda: pytest.fail("it is not ready"))


NAMES = {
    "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc",
    "vllm:prompt_tokens_total", "vllm:prompt_tokens_cached_total", "vllm:generation_tokens_total",
    "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:request_success_total",
    "vllm:time_to_first_token_seconds_count", "vllm:inter_token_latency_seconds_count",
    "vllm:request_time_per_output_token_seconds_count", "vllm:e2e_request_latency_seconds_count",
    "vllm:request_prefill_time_seconds_count", "vllm:request_decode_time_seconds_count",
    "vllm:request_queue_time_seconds_count", "vllm:request_prompt_tokens_count",
    "vllm:request_generation_tokens_count",
    "vllm:request_params_n_count", "vllm:request_params_max_tokens_count",
    "forethought:kept_prompt_tokens_total", "forethought:dropped_prompt_tokens_total",
    "forethought:draft_seconds_total", "forethought:lease_refusals_total",
}  # fmt: skip


def test_metrics_have_vllms_names_and_labels(served):
    served.chat()
    text = served.get("/metrics").text

    assert {name for name, _ in values_of(served)} >= NAMES
    assert 'vllm:generation_tokens_total{engine="0",model_name="tiny"}' in text


def test_metrics_count_what_a_request_did(served):
    told = grown(served, lambda: served.chat(max_tokens=5, ignore_eos=True))

    answer = served.chat(max_tokens=5, ignore_eos=True).json()
    prompt = answer["usage"]["prompt_tokens"]
    assert told["vllm:generation_tokens_total", ""] == 5
    assert told["vllm:request_generation_tokens_sum", ""] == 5
    assert told["vllm:request_prompt_tokens_sum", ""] == prompt
    assert told["vllm:prefix_cache_queries_total", ""] == prompt
    assert told["vllm:request_success_total", "length"] == 1
    assert told["vllm:time_to_first_token_seconds_count", ""] == 1
    assert told["vllm:inter_token_latency_seconds_count", ""] == 4
    assert told["vllm:request_queue_time_seconds_count", ""] == 1
    assert told["vllm:e2e_request_latency_seconds_count", ""] == 1
    assert told["vllm:request_params_max_tokens_sum", ""] == 5


def test_metrics_count_drafts_and_dropped_tokens(served):
    fields = {"document": "The code is 27. " * 9, "approximate": "specpc-shallow(keep=60)"}

    told = grown(served, lambda: served.chat(**fields))

    usage = served.chat(**fields).json()["usage"]
    assert told["forethought:kept_prompt_tokens_total", ""] == 60
    assert told["forethought:dropped_prompt_tokens_total", ""] == usage["prompt_tokens"] - 60
    assert told["forethought:draft_tokens_total", ""] > 0


def test_metrics_count_verified_and_accepted_tokens(served):
    fields = {"document": "The code is 27. " * 9, "approximate": "trie-lookahead", "max_tokens": 30}

    told = grown(served, lambda: served.chat(**fields))

    cost = served.chat(**fields).json()["forethought"]["cost"]
    verified = told["vllm:spec_decode_num_draft_tokens_total", ""]
    assert verified >= told.get(("vllm:spec_decode_num_accepted_tokens_total", ""), 0)
    assert verified > 0
    assert cost["verified_tokens"] > 0


def test_metrics_tell_spent_budgets_errors_and_aborts(served):
    told = grown(served, lambda: served.chat(budget="2tok"))
    assert told["forethought:lease_refusals_total", ""] == 1
    long = [{"role": "user", "content": "x" * 3000}]
    assert (
        grown(served, lambda: served.chat(messages=long))["vllm:request_success_total", "error"]
        == 1
    )

    def leave():
        body = {"messages": [{"role": "user", "content": "x"}], "stream": True,
                "max_tokens": 1900, "ignore_eos": True}  # fmt: skip
        with served.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            next(reply.iter_lines())
        until(lambda: served.server.engine.in_progress == 0)

    told = grown(served, leave)
    assert told["vllm:request_success_total", "abort"] == 1
    assert told["forethought:cancelled_requests_total", ""] == 1


def test_two_servers_in_one_process_count_apart(served):
    with serving() as other:
        before = values_of(served)
        other.chat()

        assert values_of(other)["vllm:generation_tokens_total", ""] > 0
        assert values_of(served) == before


def test_an_ended_server_serves_streams_when_started_again(served):
    """A flag of the library for streams is shared by all servers of a process."""
    for _ in range(2):
        with serving() as other:
            assert data_lines(other.chat(stream=True).text)


def test_the_openapi_document_names_every_route_and_field(served):
    document = served.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/tokenize"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        name = body["schema"]["$ref"].rpartition("/")[2]
        fields = document["components"]["schemas"][name]
        assert fields["additionalProperties"] is False
        assert "model" in fields["properties"]
        assert "400" in document["paths"][path]["post"]["responses"]
    text = served.get("/openapi.json").text
    assert "#/$defs/" not in text


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/v1/runs", "/openapi.json"])
def test_head_has_the_headers_of_get_and_no_body(served, path):
    headers, reply = served.get(path).headers, served.http.head(path)

    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-type"] == headers["content-type"]
    assert served.http.head("/v1/models/nobody").status_code == 404


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/v1/models", "/v1/runs"])
def test_a_wrong_method_names_the_right_ones(served, path):
    assert served.http.delete(path).headers["allow"] == "GET, HEAD"
    assert served.get("/v1/chat/completions").headers["allow"] == "POST"
