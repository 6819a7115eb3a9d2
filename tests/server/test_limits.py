"""Sizes, times, queues and clients that leave: limits hold, and the server goes on."""

import json
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack

import pytest
from openai import APITimeoutError, RateLimitError

from forethought.server import running as running_server
from forethought.server.chat_requests import answer_tokens
from forethought.server.errors import ApiError
from forethought.server.settings import ServerSettings
from tests.fast_cases import fast_each
from tests.server.served import QUESTION, data_lines, error_of, serving, until

LONG = {"max_tokens": 1900, "ignore_eos": True, "temperature": 1.0, "seed": 0}


@pytest.fixture(scope="module")
def strict():
    with serving(
        max_body_bytes=20_000, max_requests=3, body_seconds=0.6, max_choices=4, max_tokens=2000,
        max_total_tokens=4000, ping_seconds=1,
    ) as running:  # fmt: skip
        yield running


def backend_is_free(served):
    backend = served.session.opener.backend
    return not backend.runs and backend.scheduler.idle


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(strict):
    body = {"prompt": "x" * 30_000}

    error = error_of(strict.post("/v1/completions", body), 413)

    assert error["code"] == "request_too_large"


def test_a_body_without_a_length_is_refused_once_it_is_too_long(strict):
    sent = []

    def parts():
        for _ in range(1000):
            sent.append(1)
            yield b"x" * 1000
            time.sleep(0.001)

    try:
        reply = strict.http.post("/v1/completions", content=parts())
    except Exception:  # the server closes the connection while the client still sends
        reply = None

    assert reply is None or error_of(reply, 413)
    assert len(sent) < 900


def test_compressed_bodies_are_refused(strict):
    reply = strict.post("/v1/completions", content=b"x", headers={"Content-Encoding": "gzip"})

    error_of(reply, 415)


def received(connection):
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b""


def test_headers_that_do_not_come_close_the_connection(strict):
    for start in (b"", b"G", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"):
        with socket.create_connection(strict.place, timeout=20) as connection:
            connection.sendall(start)
            assert b"200" not in received(connection)


def test_headers_that_drip_close_the_connection(strict):
    with socket.create_connection(strict.place, timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        closed = False
        for number in range(100):
            try:
                connection.sendall(f"X-{number}: x\r\n".encode())
            except OSError:
                closed = True
                break
            time.sleep(0.05)
        assert closed


def test_a_body_that_drips_is_refused(strict):
    with socket.create_connection(strict.place, timeout=20) as connection:
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head + b'{"prompt"')
        found = received(connection)

    assert b" 408 " in found.split(b"\r\n", 1)[0]
    assert b"request_timeout" in found


def test_a_connection_that_is_kept_serves_many_requests(strict):
    with socket.create_connection(strict.place, timeout=20) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            found = connection.recv(65536)
            while not found.endswith(b"}"):
                found += connection.recv(65536)
            assert found.startswith(b"HTTP/1.1 200")
            time.sleep(0.25)  # longer together than the time for one request's headers


def test_small_parts_of_a_stream_leave_at_once(strict):
    with socket.create_connection(strict.place) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(65536)
        # asyncio disables Nagle's algorithm only on sockets that name their protocol.
        (accepted,) = (
            one.transport.get_extra_info("socket")
            for one in strict.server._uvicorn.server_state.connections
            if one.client == connection.getsockname()[:2]
        )
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_huge_headers_are_refused(strict):
    with socket.create_connection(strict.place, timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000)
        # The reset may overtake the reply, since the client is still sending.
        assert b" 200 " not in received(connection).split(b"\r\n", 1)[0]
    assert strict.get("/health").status_code == 200


def stream(served, **fields):
    body = {"model": "tiny", "messages": QUESTION, "stream": True, **LONG, **fields}
    return served.http.stream("POST", "/v1/chat/completions", json=body)


def test_requests_beyond_the_queue_get_429_and_a_time(strict):
    with stream(strict) as one, stream(strict) as two, stream(strict) as three:
        lines = [reply.iter_lines() for reply in (one, two, three)]
        for each in lines:
            next(each)
        for streamed in (False, True):
            reply = strict.chat(stream=streamed)
            error = error_of(reply, 429)
            assert int(reply.headers["retry-after"]) >= 1
            assert error["code"] == "rate_limit_exceeded"
        with pytest.raises(RateLimitError):
            strict.client().chat.completions.create(model="tiny", messages=QUESTION)
        error_of(strict.complete(prompt=["a", "b"]), 429)

    until(lambda: backend_is_free(strict))
    assert strict.chat().status_code == 200


def test_several_prompts_are_all_or_none(strict):
    error_of(strict.complete(prompt=["a"] * 4), 429)

    until(lambda: backend_is_free(strict))
    assert strict.complete(prompt=["a"] * 3).status_code == 200


def test_a_client_that_leaves_a_stream_frees_everything(served):
    with stream(served) as reply:
        lines = reply.iter_lines()  # held: a dropped iterator closes the connection
        assert all(next(lines) is not None for _ in range(5))
        assert served.server.engine.in_progress == 1

    until(lambda: backend_is_free(served))
    assert served.server.engine.in_progress == 0


def test_a_client_that_leaves_before_a_whole_answer_frees_everything(served):
    with pytest.raises(APITimeoutError):
        served.client(timeout=0.15).chat.completions.create(
            model="tiny", messages=QUESTION, max_tokens=1900, extra_body={"ignore_eos": True}
        )

    until(lambda: backend_is_free(served))
    assert served.server.engine.in_progress == 0


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize("after", fast_each(2, [0, 0.01, 0.05, 0.3]))
def test_clients_that_leave_at_any_moment_free_everything(served, path, after):
    body = {"stream": after < 0.2, **LONG}
    body |= {"prompt": ["a", "b"]} if path.endswith("/completions") else {}
    if path == "/v1/responses":
        body["max_output_tokens"] = body.pop("max_tokens")
        body["input"] = "x"
    if "chat" in path:
        body = {"stream": True, "messages": QUESTION, **LONG}
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"

    for _ in range(3):
        with socket.create_connection(served.place) as connection:
            connection.sendall(head.encode() + data)
            time.sleep(after)

    until(lambda: backend_is_free(served) and served.server.engine.in_progress == 0)


def test_half_of_many_clients_leave_and_the_others_get_their_own_answers(served):
    found = {}

    def ask(seed):
        fields = {"seed": seed, "temperature": 1.0, "max_tokens": 60, "ignore_eos": True}
        if seed % 2:
            with stream(served, **fields) as reply:
                next(reply.iter_lines())
            return
        found[seed] = served.chat(**fields).json()["choices"][0]["message"]["content"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    until(lambda: backend_is_free(served))
    assert len(found) == 8
    for seed, text in found.items():
        fields = {"seed": seed, "temperature": 1.0, "max_tokens": 60, "ignore_eos": True}
        assert served.chat(**fields).json()["choices"][0]["message"]["content"] == text


def test_a_request_that_takes_too_long_ends():
    with serving(request_seconds=0.3) as hurried:
        error = error_of(hurried.chat(**LONG), 504)
        assert error["code"] == "request_timeout"
        with stream(hurried) as reply:
            lines = [line for line in reply.iter_lines() if line.startswith("data:")]
        assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "request_timeout"
        until(lambda: backend_is_free(hurried))
        assert hurried.chat(max_tokens=1).status_code == 200


def test_a_silent_stream_is_kept_open_by_comments():
    fields = {"model": "tiny@majority-vote(n=8)", "max_tokens": 900, "ignore_eos": True}
    limits = {"max_tokens": 1000, "max_total_tokens": 8_000, "max_choices": 8}
    with serving(ping_seconds=1, **limits) as running, stream(running, **fields) as reply:
        text = "\n".join(reply.iter_lines())

    comments = [line for line in text.split("\n") if line.startswith(":")]
    assert set(comments) == {": ping"}
    assert len(data_lines(text)) == 3


def test_limits_of_answers_and_tokens_are_told(strict):
    assert "4 at most" in error_of(strict.chat(n=5))["message"]
    assert "1,000 at most" in error_of(strict.chat(n=4, max_tokens=1001))["message"]
    assert "2,000 at most" in error_of(strict.chat(max_tokens=2001))["message"]
    assert error_of(strict.complete(prompt=["a", "b"], n=3))["param"] == "n"
    assert "4 at most" in error_of(strict.chat(model="tiny@majority-vote(n=5)"))["message"]


def test_an_answer_without_a_maximum_gets_what_the_limits_leave():
    settings = ServerSettings(max_tokens=100, max_total_tokens=240, max_choices=8)

    assert answer_tokens(settings, None, 1, 1000) == 100
    assert answer_tokens(settings, None, 1, 30) == 30
    assert answer_tokens(settings, None, 1, -5) == 1
    assert answer_tokens(settings, None, 4, 90) == 60
    assert answer_tokens(settings, 60, 4, 10) == 60
    with pytest.raises(ApiError):
        answer_tokens(settings, 61, 4, 10)


def test_a_thousand_idle_connections_do_no_harm(served):
    idle = [socket.create_connection(served.place) for _ in range(300)]

    assert served.chat(max_tokens=2).status_code == 200
    for connection in idle:
        connection.close()


def test_a_server_that_stops_tells_the_requests_that_it_ends(monkeypatch):
    monkeypatch.setattr(running_server, "_DRAIN_SECONDS", 0.3)
    found = []
    with serving() as ending:

        def whole():
            found.append(ending.chat(model="tiny@majority-vote(n=8)", **LONG))

        thread = threading.Thread(target=whole)
        thread.start()
        with stream(ending, model="tiny@majority-vote(n=8)", **LONG) as reply:
            until(lambda: ending.server.engine.in_progress == 2)
            ending.server.stop()
            lines = [line for line in reply.iter_lines() if line.startswith("data:")]
        thread.join()
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "server_stopping"
    assert found[0].status_code == 503


def test_a_second_signal_ends_all_requests_at_once_with_an_error(caplog):
    found = []
    with serving() as ending:

        def whole():
            found.append(ending.chat(model="tiny@majority-vote(n=8)", **LONG))

        thread = threading.Thread(target=whole)
        thread.start()
        with stream(ending, model="tiny@majority-vote(n=8)", **LONG) as reply:
            until(lambda: ending.server.engine.in_progress == 2)
            for _ in range(2):
                ending.server._uvicorn.handle_exit(signal.SIGINT, None)
            lines = [line for line in reply.iter_lines() if line.startswith("data:")]
        thread.join()

    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "server_stopping"
    assert found[0].status_code == 503
    assert not ending.server._uvicorn.force_exit
    assert not [one for one in caplog.records if one.exc_info]


def test_requests_of_one_key_leave_room_for_those_of_another():
    keys = ("first-key-1234", "second-key-5678")
    own, other = ({"Authorization": f"Bearer {key}"} for key in keys)
    body = {"model": "tiny", "messages": QUESTION, "stream": True, "temperature": 0, **LONG}
    with serving(keys=keys, max_requests=2) as shared, ExitStack() as held:

        def begin(headers):
            asked = shared.http.stream("POST", "/v1/chat/completions", json=body, headers=headers)
            return held.enter_context(asked).status_code

        assert [begin(own) for _ in range(3)] == [200, 200, 429]
        assert [begin(other) for _ in range(2)] == [200, 429]
        assert begin(own) == 429


@pytest.mark.parametrize("method", ["", "snapkv(keep=0.5)", "specpc(keep=100)"])
def test_a_text_that_a_model_must_read_whole_is_refused_before_it_is_tokenized(strict, method):
    """Neither an eviction nor a draft makes room for it, so its characters are too many."""
    document = "word " * 3000
    more = {"approximate": method} if method else {}

    for reply in (strict.chat(document=document, **more), strict.complete(prompt=document, **more)):
        assert "a text of 15,0" in error_of(reply)["message"]
    assert strict.chat(document=document, approximate="truncate(keep=200)").status_code == 200


def test_busy_threads_give_the_interpreter_to_the_engine_soon(strict):
    assert sys.getswitchinterval() < 0.001
