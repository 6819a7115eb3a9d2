"""A server that answers each request as the case named by its address says."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.backends.openai.hostile.replies import RESET, Case


class Server(socketserver.ThreadingTCPServer):
    """Plain sockets: no library sends what is sent here."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, cases: Mapping[str, Case]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cases = cases
        self.asked: Counter[str] = Counter()
        self.cookies: list[str] = []

    def base(self, case: Case) -> str:
        """The address of a case."""
        return f"http://127.0.0.1:{self.server_address[1]}/{case.name}/v1"

    def handle_error(self, request, address):
        """Whoever closes early is expected to."""


class Handler(socketserver.StreamRequestHandler):
    """One connection: as many requests as come, each answered by its case."""

    disable_nagle_algorithm = True
    server: Server

    def handle(self):
        while first := self.rfile.readline():
            headers = dict(self.headers())
            self.rfile.read(int(headers.get("content-length", 0)))
            name = first.split()[1].decode().split("/")[1]
            self.server.asked[name] += 1
            self.server.cookies += [headers["cookie"]] if "cookie" in headers else []
            for part in self.server.cases[name].reply():
                if part is RESET:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return self.connection.close()
                if isinstance(part, float):
                    time.sleep(part)
                else:
                    self.connection.sendall(part)
            if name != "a-second-answer-behind-the-first":
                return None

    def headers(self) -> Iterator[tuple[str, str]]:
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()


@contextmanager
def serving(cases: Mapping[str, Case]) -> Iterator[Server]:
    """The server, on its way in a thread."""
    with Server(cases) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
