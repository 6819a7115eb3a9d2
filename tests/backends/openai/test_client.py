"""Proxies and certificates of the environment, and invalid addresses."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.cli.main import exit_code
from forethought.contracts.errors import BadParameterError, RemoteError, UsageError
from tests.backends.openai.hostile.replies import dumped, http, whole
from tests.backends.openai.remote_asks import outcome_of, request

FAR = Endpoint("https://models.example/v1", "m")
HASTY = Patience(attempts=2, first_wait=0.0, connect_seconds=5.0, silence_seconds=5.0)


def capabilities(endpoint=FAR):
    with OpenAIBackend(endpoint, key="", patience=HASTY) as remote:
        return remote.capabilities


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "proxy",
    [
        "socks://me:hunter2@127.0.0.1:1080",
        "socks5://me:hunter2@127.0.0.1:1080",
        "ftp://me:hunter2@h",
        "http://me:hunter2@h:port",
        "://me:hunter2@h",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_and_its_password_not_shown(monkeypatch, name, proxy):
    monkeypatch.setenv(name, proxy)
    with pytest.raises(UsageError, match=name) as caught:
        capabilities()
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "NO_PROXY" in caught.value.hint


def test_a_server_on_this_machine_is_asked_without_a_proxy(toy, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080")
    with toy.remote("toy") as remote:
        assert remote.abilities


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_certificates_that_cannot_be_read_are_named(monkeypatch, tmp_path, content, capsys):
    path = tmp_path / "missing.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE .*missing\.pem") as caught:
        capabilities()
    assert caught.value.hint
    assert exit_code(["ask", "What?", "-m", f"{FAR.base}#m"]) == 2
    assert "SSL_CERT_FILE" in capsys.readouterr().err


def test_encryption_against_a_server_without_it_is_said_to_be_that(toy):
    plain = toy.base.replace("http:", "https:")
    with pytest.raises(RemoteError, match="no encrypted connection") as caught:
        capabilities(Endpoint.parse(f"{plain}#toy"))
    assert "http://" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["http://" + "a" * 300 + "/v1", "http://a..b/v1", "http://h\x07/v1", "http://h/a b",
     "http://[::1/v1", "http://h:99999/v1", "http://" + "a" * 64 + ".com"],
)  # fmt: skip
def test_addresses_that_no_host_can_have_are_refused(text):
    with pytest.raises(BadParameterError):
        Endpoint.parse(text)


def test_a_question_with_half_a_character_is_asked(toy, remote):
    question = replace(request().question, text="a\ud83d?")
    assert outcome_of(remote, request(question=question)).piece.text
    assert toy.told()["asked"][-1]["messages"][-1]["content"] == "a\ud83d?"


def test_an_untrusted_certificate_is_named_at_once():
    """Signed by itself, as on many machines of a lab."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("self_signed.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        tried: list[int] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                    tried.append(1)
                    with context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(65536)
                        secure.sendall(http(dumped(whole())))
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        place = Endpoint(f"https://127.0.0.1:{listening.getsockname()[1]}/v1", "m")
        with pytest.raises(RemoteError, match=r"the certificate of 127\.0\.0\.1") as caught:
            capabilities(place)
    assert "SSL_CERT_FILE" in caught.value.hint
    assert len(tried) == 1
