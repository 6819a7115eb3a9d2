"""The HTTP client: proxies and certificates from the environment, transport errors as ours."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx2

from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.errors import StalledError, TransientError
from forethought.contracts.errors import RemoteError, UsageError

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def http_client(
    endpoint: Endpoint, key: str, patience: Patience, environ: Mapping[str, str] = os.environ
) -> httpx2.AsyncClient:
    """An HTTP client for one server; UsageError for an unusable proxy or certificate file."""
    # Loading certificates is slow, and plain HTTP needs none.
    verify = _certificates(environ) if endpoint.base.startswith("https:") else False
    try:
        return httpx2.AsyncClient(
            headers={
                # Without decompression, a small reply cannot grow to gigabytes.
                "Accept-Encoding": "identity",
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx2.Timeout(
                patience.silence_seconds, connect=patience.connect_seconds, pool=None
            ),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=patience.at_once),
            # A redirect would send the key and the question to another host.
            follow_redirects=False,
            verify=verify,
            trust_env=not endpoint.local,
        )
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        failure = _no_proxy(environ, error)
    raise failure


def _certificates(environ: Mapping[str, str]) -> ssl.SSLContext:
    try:
        return httpx2.create_ssl_context()
    except (OSError, ValueError) as error:
        named = [name for name in _CERTIFICATES if environ.get(name)]
        where = " or ".join(f"{name} ({environ[name]})" for name in named) or "this system"
        raise UsageError(
            f"the certificates of {where} cannot be read: {error}",
            f"name a PEM file of certificates, or unset {' and '.join(named)}"
            if named
            else "set SSL_CERT_FILE to a PEM file of certificates",
        ) from None


def _no_proxy(environ: Mapping[str, str], error: Exception) -> UsageError:
    """The error for a bad proxy setting; it hides the address, which may hold a password."""
    named = sorted(name for name in environ if name.lower() in _PROXIES and environ[name])
    kinds = ", ".join(f"{name} ({_scheme(environ[name])}...)" for name in named)
    if isinstance(error, ImportError):
        problem, hint = "needs the package socksio", "pip install 'httpx2[socks]'"
    else:
        problem = "is not a proxy address"
        hint = "write it http://host:port or socks5://host:port"
    which = kinds or "the system's proxy"
    return UsageError(f"{which} {problem}", f"{hint}, or put the host into NO_PROXY")


def _scheme(address: str) -> str:
    scheme, mark, _ = address.partition("://")
    return f"{scheme[:20]}://" if mark and scheme.isalnum() else ""


@contextmanager
def translated_errors(base: str) -> Iterator[None]:
    """Translate transport errors into the package's errors."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise StalledError(
            f"{base} sent nothing for too long ({type(error).__name__})",
            "check that the server is up",
        ) from None
    except TimeoutError:
        raise RemoteError(
            f"{base} exceeded the time limit of a reply",
            "lower the token limit, or see the server's log",
        ) from None
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise RemoteError(f"{base} is not a valid address: {error}", "check the address") from None
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        if (failed := _encryption(error)) is not None:
            raise _unencrypted(base, failed) from None
        raise TransientError(
            f"the connection to {base} failed: {str(error) or type(error).__name__}",
            "check the address, and that the server is up",
        ) from None


def _encryption(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error behind a transport error, if there is one."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _unencrypted(base: str, error: ssl.SSLError) -> RemoteError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteError(
            f"the certificate of {urlsplit(base).netloc} is not trusted: {error.verify_message}",
            "set SSL_CERT_FILE to a PEM file with the certificate of its issuer",
        )
    return TransientError(
        f"no encrypted connection to {base}: {error.reason or error}",
        "check whether the server's address begins with http:// or https://",
    )
