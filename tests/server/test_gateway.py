"""The server in front of another one: conversations, searches and compression go through."""

import pytest

from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe
from forethought.server.settings import ServerSettings
from forethought.sessions.ask import ask
from tests.backends.openai.toy_server import *  # noqa: F403
from tests.server.served import QUESTION, data_lines, serving

DOCUMENT = "\n\n".join(f"Paragraph {n}: locker {n} has the code {n * 7}." for n in range(30))


@pytest.fixture
def gateway(toy):
    with serving(recipe=Recipe(model=f"{toy.base}/v1#toy", draft="small")) as found:
        yield found


def asked(toy):
    """The last request that the server behind got and that is no probe."""
    return [one for one in toy.told()["asked"] if one.get("max_tokens") == 20][-1]


def test_an_answer_goes_through_and_streams(toy, gateway):
    whole = gateway.chat(model="toy", max_tokens=20).json()
    answer = whole["choices"][0]["message"]["content"]
    assert answer == ask("What?", Recipe(model=f"{toy.base}/v1#toy", max_tokens=20))["answer"]
    assert whole["usage"]["completion_tokens"] == len(answer)
    chunks = data_lines(gateway.chat(model="toy", max_tokens=20, stream=True).text)
    parts = [one["choices"][0]["delta"].get("content") for one in chunks if one["choices"]]
    assert "".join(filter(None, parts)) == answer
    assert sum(map(bool, parts)) > 2, "the text comes in parts"


def test_whole_conversations_reach_the_server(toy, gateway):
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "Second?"},
    ]
    assert gateway.chat(model="toy", messages=said, max_tokens=20).status_code == 200
    assert asked(toy)["messages"] == said


def test_each_request_has_its_own_settings(toy, gateway):
    gateway.chat(model="toy", temperature=0.3, top_p=0.5, stop=["c"], max_tokens=20)
    seen = asked(toy)
    assert (seen["temperature"], seen["top_p"], seen["stop"]) == (0.3, 0.5, ["c"])
    gateway.chat(model="toy", temperature=0.9, max_tokens=20)
    seen = asked(toy)
    assert (seen["temperature"], "top_p" in seen, "stop" in seen) == (0.9, False, False)


def test_an_answer_without_a_maximum_has_a_usual_one(toy, gateway):
    body = {"model": "toy", "messages": QUESTION}
    assert gateway.post("/v1/chat/completions", body).status_code == 200
    assert toy.told()["asked"][-1]["max_tokens"] == 1024


def test_several_answers_and_searches_run_over_the_server(toy, gateway):
    several = gateway.chat(model="toy", n=3, temperature=1.0, seed=4, max_tokens=20).json()
    assert len({one["message"]["content"] for one in several["choices"]}) > 1
    voted = gateway.chat(model="toy@majority-vote(n=5)", max_tokens=20).json()
    assert voted["forethought"]["confidence"]["method"] == "agreement"
    assert voted["usage"]["completion_tokens"] > 6


def test_a_document_is_compressed_here_and_the_rest_sent_as_it_is(toy, gateway):
    said = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        *QUESTION,
    ]
    answer = gateway.chat(
        model="toy+bm25(keep=0.5)", messages=said, document=DOCUMENT, max_tokens=20
    ).json()
    assert "choices" in answer, answer
    seen = asked(toy)["messages"]
    assert seen[:2] == said[:2]
    assert seen[2]["content"].endswith(QUESTION[0]["content"])
    assert len(seen[2]["content"]) < 0.7 * len(DOCUMENT)
    kept = answer["forethought"]["kept"]
    assert 0 < kept["prompt_tokens"] < 0.7 * kept["of"]


def test_a_draft_here_scores_a_prompt_of_the_server(toy, gateway):
    answer = gateway.chat(
        model="toy+draft(small)+specpc-shallow(keep=300)", document=DOCUMENT, max_tokens=20
    ).json()
    cost = answer["forethought"]["cost"]
    assert cost["draft_tokens"] > 300
    assert answer["forethought"]["kept"]["prompt_tokens"] <= 300


def test_the_draft_reads_a_document_once_for_several_questions(toy, gateway):
    fresh = []
    for question in ("What is the code of locker 4?", "And which code has locker 7?"):
        answer = gateway.chat(
            model="toy+draft(small)+specpc-shallow(keep=300)",
            messages=[{"role": "user", "content": question}],
            document=DOCUMENT,
            max_tokens=20,
        ).json()
        cost = answer["forethought"]["cost"]
        fresh.append(cost["draft_tokens"])
        assert answer["forethought"]["kept"]["prompt_tokens"] <= 300
    assert fresh[0] > len(DOCUMENT)
    assert fresh[1] < 200, "the question alone"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "toy+snapkv(keep=9)"}, "KV cache"),
        ({"frequency_penalty": 1.0}, "penalties"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "x"}]}, "last message"),
        ({"logprobs": True}, "logprobs"),
    ],
)
def test_what_a_server_cannot_do_is_refused(toy, gateway, fields, said):
    reply = gateway.chat(**{"model": "toy", "max_tokens": 20, **fields})
    assert reply.status_code == 400
    assert said in reply.json()["error"]["message"]


@pytest.mark.parametrize(("theirs", "ours"), [(400, 400), (404, 400), (403, 502)])
def test_a_server_that_refuses_is_an_error_and_no_answer(toy, gateway, theirs, ours):
    """A refusal of the request stays one: clients try again after a 502."""
    gateway.chat(model="toy", max_tokens=20)
    toy.set(*[{"status": theirs}] * 20)
    reply = gateway.chat(model="toy", max_tokens=20)
    assert reply.status_code == ours
    assert "error" in reply.json()


def test_the_address_of_the_server_behind_stays_hidden(toy, gateway):
    port = toy.base.rpartition(":")[2]
    shown = [
        gateway.chat(model=None, max_tokens=20).text,
        gateway.chat(model="toy+snapkv(keep=9)").text,
        gateway.get("/v1/models").text,
        gateway.chat(model="toy@majority-vote(n=2)", max_tokens=20, stream=True).text,
    ]
    toy.set(*[{"status": 403}] * 20)
    shown.append(gateway.chat(model="toy", max_tokens=20).text)
    for text in shown:
        assert "#toy" not in text
        assert port not in text
        assert "127.0.0.1" not in text
        assert "toy" in text


def test_two_models_of_one_public_name_are_refused():
    with pytest.raises(UsageError, match="two models have the name 'small'"):
        ServerSettings(recipe=Recipe(model="http://127.0.0.1:1/v1#small"), models=("small",))
