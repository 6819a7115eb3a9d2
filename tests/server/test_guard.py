"""Keys, hosts and origins; paths outside; what the log shows."""

import logging
import socket

import pytest
from openai import AuthenticationError

from forethought.contracts.errors import UsageError
from forethought.server.guard import tenant
from forethought.server.settings import ServerSettings
from tests.server.served import error_of, serving, until

KEYS = ("first-key-1234", "second-key-5678")


@pytest.fixture(scope="module")
def locked():
    with serving(keys=KEYS) as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/tokenizer_info", "/openapi.json"])
def test_without_a_key_nothing_is_told(locked, path):
    for header in ({}, *({"Authorization": value} for value in (
        "", "Bearer", "Bearer none", f"Basic {KEYS[0]}", KEYS[0], f"Bearer {KEYS[0]}x",
        f"Bearer {KEYS[0][:-1]}", f"Bearer {','.join(KEYS)}",
    ))):  # fmt: skip
        reply = locked.get(path, headers=header)
        error = error_of(reply, 401)
        assert error["code"] == "invalid_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens_every_path(locked, key):
    for scheme in ("Bearer", "bearer"):
        found = locked.get("/v1/models", headers={"Authorization": f"{scheme} {key}"})
        assert found.status_code == 200
    client = locked.client(api_key=key)
    assert [model.id for model in client.models.list()] == ["tiny", "small"]
    assert client.models.retrieve("small").id == "small"


def test_the_official_client_names_the_failure(locked):
    with pytest.raises(AuthenticationError, match="no valid key"):
        locked.client(api_key="wrong").models.list()


def test_health_needs_no_key(locked):
    assert locked.get("/health").status_code == 200
    assert locked.get("/ready").status_code == 200
    assert locked.get("/ready/").status_code in (307, 401)


def test_a_tenant_is_a_hash_of_its_key():
    found = [tenant(key) for key in KEYS]

    assert len(set(found)) == 2
    assert not any(key in name for key in KEYS for name in found)


def test_requests_carry_the_tenant_of_their_key(locked):
    seen = []
    own = locked.server.engine.answer
    locked.server.engine.answer = lambda live: (seen.append(live.tenant), own(live))[1]
    for key in KEYS:
        body = {"prompt": "x", "max_tokens": 1}
        locked.post("/v1/completions", body, headers={"Authorization": f"Bearer {key}"})
    locked.server.engine.answer = own

    assert seen == [tenant(key) for key in KEYS]


def test_without_keys_a_client_may_send_any(served):
    for value in ("Bearer", "Bearer x", "Basic x"):
        assert served.get("/v1/models", headers={"Authorization": value}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example",
                                  "127.0.0.1.nip.io", "[::1].evil", "", "127.0.0.2"])  # fmt: skip
def test_other_hosts_are_refused(served, host):
    assert error_of(served.get("/v1/models", headers={"Host": host}), 403)["code"] == "forbidden"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000",
                                  "[::1]", "LOCALHOST"])  # fmt: skip
def test_names_of_this_machine_are_answered(served, host):
    assert served.get("/v1/models", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_are_refused(served):
    own = served.url
    for origin in ("https://evil.example", "null", "http://localhost:1", f"{own}.evil.example",
                   "http://[", "file://"):  # fmt: skip
        error_of(served.post("/v1/completions", {"prompt": "x"}, headers={"Origin": origin}), 403)
    fields = {"prompt": "x", "max_tokens": 1}
    assert served.post("/v1/completions", fields, headers={"Origin": own}).status_code == 200


def test_no_other_site_may_read_an_answer(served):
    reply = served.get("/v1/models", headers={"Origin": served.url})

    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_server_for_other_machines_needs_a_key():
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
        with pytest.raises(UsageError, match="no key"):
            ServerSettings(host=host)
        assert ServerSettings(host=host, keys=("k",))


def test_settings_do_not_show_keys():
    assert "secret" not in repr(ServerSettings(keys=("secret",)))


@pytest.mark.parametrize("path", [
    "/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/models/../../../etc/passwd",
    "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "//etc/passwd", "/v1//models", "/page/../app.py",
    "/page/%2e%2e/app.py", "/page/..%5capp.py", "/%00", "/v1/models/%00", "/%ff%fe",
    "/v1/models/" + "a" * 5000, "/v1/runs/../../x", "*", "http://evil.example/v1/models",
])  # fmt: skip
def test_no_path_leads_outside(served, path):
    with socket.create_connection(served.place) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        found = b"".join(iter(lambda: connection.recv(65536), b""))

    status = int(found.split(None, 2)[1])
    assert status in (200, 307, 400, 403, 404, 405)
    assert b"root:" not in found
    assert b"import" not in found
    assert status != 200 or b'"object":"list"' in found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/completions"),
        ("PUT", "/v1/models"),
        ("DELETE", "/health"),
        ("POST", "/v1/models"),
    ],
)
def test_a_wrong_method_is_refused_in_the_shape_of_the_api(served, method, path):
    reply = served.http.request(method, path)

    assert error_of(reply, 405)["code"] == "method_not_allowed"
    assert "allow" in reply.headers


def test_every_reply_has_an_id_and_a_clients_own_is_kept(served):
    assert served.get("/health").headers["x-request-id"].startswith("req_")
    own = served.get("/health", headers={"X-Request-Id": "mine-1"})
    assert own.headers["x-request-id"] == "mine-1"
    odd = served.get("/health", headers={"X-Request-Id": "a b<script>"})
    assert odd.headers["x-request-id"].startswith("req_")


def told(caplog):
    """The log of the server."""
    ours = ("forethought", "uvicorn")
    return [one.getMessage() for one in caplog.records if one.name.startswith(ours)]


def test_the_log_shows_neither_keys_nor_prompts(locked, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "forethought.server")
    headers = {"Authorization": f"Bearer {KEYS[0]}"}
    fields = {"prompt": "a very private prompt", "max_tokens": 2, "user": "somebody"}

    locked.post("/v1/completions?key=in-the-address", fields, headers=headers)

    until(lambda: any("/v1/completions" in line and " 200 " in line for line in told(caplog)))
    own = told(caplog)
    for secret in (*KEYS, "private", "somebody", "in-the-address"):
        assert not [line for line in own if secret in line]
