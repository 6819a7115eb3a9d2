"""The socket that a server listens on; importing this loads no library."""

from __future__ import annotations

import socket

from forethought.contracts.errors import UsageError

_BACKLOG = 1024


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; raises UsageError if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sends small parts at once only on sockets that name their protocol.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror}", "use 127.0.0.1") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise UsageError(
            f"{host}:{port} cannot be used: {error.strerror}",
            f"stop the other server, or use another port: --port {port + 1 if port else 8001}",
        ) from error
    return found


def address(listening: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
