"""A server of the OpenAI kind that writes by a law whose every probability is known.

    python -m tests.backends.openai.openai_server [port]

It prints its port, and ends when its input does. What it can do, and what goes wrong, is posted to
/control as `{"settings": {...}, "faults": [...]}`: each answer asked for takes the next fault.
GET /control tells what was asked. A token is a letter.
"""

from __future__ import annotations

import json
import math
import select
import socket
import sys
import threading
import time
from contextlib import nullcontext
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from forethought.backends.known import END, drawn
from forethought.backends.openai.capabilities import COUNTING
from tests.driver.searches import coin, three_steps

KEY = "secret-1234"
PROMPT_TOKENS = 7
DEFAULTS = {
    "chat": True,
    "continues": True,
    "trims": False,
    "stops": "kept",
    "logprobs": True,
    "usage": True,
    "interrupts": False,
    "one_by_one": False,
    "cached": 0,
    "counts": 1,
    "astray": False,
    "delay": 0.0,
    "limit": "max_tokens",
    "heeds": True,
    "models": ["toy", "other"],
    "law": "three_steps",
    "key": "",
    "sse": True,
    "served": "",
    "fingerprint": "",
    "tokenizer": "",  # a file: then prompts may be its token ids, and it is shown
    "template": "{}",
    "opinion": {"yes": 0.6, " No": 0.2, "maybe": 0.2},
}
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
NUMBERS = "\n\n".join(WORDS)


def counting(question, text):
    """Counts on."""
    return {NUMBERS[len(text)] if len(text) < len(NUMBERS) else END: 1.0}


LAWS = {
    "three_steps": three_steps,
    "coin": coin(),
    "long": lambda question, text: {"x": 1.0} if len(text) < 500 else {END: 1.0},
    "halves": lambda question, text: (
        {END: 1.0} if len(text) == 9 else {"a\ufffd\ufffd"[len(text) % 3]: 1}
    ),
    "wide": lambda question, text: {END: 1.0} if len(text) == 3 else {"é": 0.5, "水": 0.5},
}


class Server(ThreadingHTTPServer):
    """What was asked, and what is to go wrong."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.lock, self.open, self.newest = threading.Lock(), 0, 0
        self.serving = threading.Lock()
        self.control({})

    def control(self, document):
        with self.lock:
            self.settings = {**DEFAULTS, **document.get("settings", {})}
            self.faults = list(document.get("faults", []))
            self.asked, self.written, self.most_open = [], 0, 0
            self.closed, self.keys, self.peers = 0, [], []

    def told(self):
        names = ("asked", "written", "most_open", "closed", "keys", "open", "peers")
        with self.lock:
            return {name: getattr(self, name) for name in names}

    def handle_error(self, request, address):
        """Whoever closes early is counted, not reported."""
        with self.lock:
            self.closed += 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *unused):
        pass

    def do_GET(self):
        if self.path == "/control":
            return self.give(200, self.server.told())
        return self.give(200, {"data": [{"id": name} for name in self.server.settings["models"]]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/control":
            self.server.control(body)
            return self.give(200, {})
        with self.server.lock:
            self.server.asked.append({"path": self.path, **body})
            self.server.peers.append(self.client_address[1])
            self.server.keys.append(self.headers.get("Authorization"))
            fault = dict((self.server.faults.pop(0) if self.server.faults else None) or {})
            self.server.open += 1
            self.server.newest += 1
            fault["number"] = self.server.newest
            self.server.most_open = max(self.server.most_open, self.server.open)
        try:
            self.answer(body, fault)
        finally:
            with self.server.lock:
                self.server.open -= 1

    def answer(self, body, fault):
        settings = self.server.settings
        chat = self.path.endswith("/chat/completions")
        if self.path in ("/tokenize", "/apply-template"):
            return self.tokenize(body)
        if "status" in fault:
            return self.give(fault["status"], fault.get("body", {}), fault.get("headers", {}))
        if fault.get("drop") == "before":
            return self.hang_up()
        if problem := refusal(settings, body, chat):
            return self.give(problem, {"error": {"message": "I do not do that"}})
        if settings["key"] and self.headers.get("Authorization") != f"Bearer {settings['key']}":
            said = f"no such key: {self.headers.get('Authorization')}"
            return self.give(401, {"error": {"message": said}})
        parts = [named(settings, part) for part in documents(settings, body, chat)]
        if not settings["sse"] or not body.get("stream"):
            return self.give(200, whole(parts))
        with self.server.serving if settings["one_by_one"] else nullcontext():
            return None if self.left() else self.stream(parts, fault)

    def tokenize(self, body):
        """What vLLM and llama.cpp show of a tokenizer and a chat template."""
        settings = self.server.settings
        if not settings["tokenizer"]:
            return self.give(404, {})
        messages = [settings["template"].format(one["content"]) for one in body.get("messages", [])]
        if self.path == "/apply-template":
            return self.give(200, {"prompt": "".join(messages)})
        text = "".join(messages) or body.get("prompt", "")
        return self.give(200, {"tokens": inner(settings).encode(text).ids})

    def left(self):
        """Whether whoever asked is gone."""
        readable = select.select([self.connection], [], [], 0)[0]
        self.close_connection = bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        return self.close_connection

    def stream(self, parts, fault):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        tokens, settings = 0, self.server.settings
        for part in parts:
            token = bool(part["choices"]) and not part["choices"][0]["finish_reason"]
            if tokens and settings["interrupts"] and self.server.newest != fault["number"]:
                return self.hang_up()
            if token and fault.get("drop") == tokens:
                return self.chunk(b"") if fault.get("clean") else self.hang_up()
            if token and fault.get("error") == tokens:
                return self.event({"error": {"message": "out of memory", "code": 500}}, last=True)
            if not part["choices"] and fault.get("drop") == "after":
                return self.hang_up()
            if fault.get("abort") == tokens:
                end = {"delta": {"content": ""}, "finish_reason": "abort"}
                return self.event({"choices": [end]}, last=True)
            self.event(part)
            tokens += token
            with self.server.lock:
                self.server.written += token
            if token:
                time.sleep(settings["delay"])
        if fault.get("drop") == "after":
            return self.hang_up()
        self.chunk(b"data: [DONE]\n\n")
        return self.chunk(b"")

    def event(self, document, last=False):
        self.chunk(b": still here\n\ndata: " + json.dumps(document).encode() + b"\n\n")
        if last:
            self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def give(self, status, document, headers=()):
        data = json.dumps(document).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def refusal(settings, body, chat):
    """The status for what the server does not do."""
    if chat and not settings["chat"]:
        return 404
    if isinstance(body.get("prompt"), list) and not settings["tokenizer"]:
        return 422
    if settings["limit"] not in body:
        return 400
    if body.get("logprobs") and settings["logprobs"] is False:
        return 400
    if (body.get("top_logprobs") or 0) > settings.get("top", 20):
        return 400
    if body.get("continue_final_message") and settings["continues"] == "refused":
        return 400
    return 0


def documents(settings, body, chat):
    """The parts of a streamed answer."""
    question, text = asked(settings, body, chat)
    before, stops, finish, step = text, body.get("stop", []), "length", None
    counts = question == COUNTING and not settings["astray"]
    law = counting if counts else LAWS[settings["law"]]
    most = body[settings["limit"]] if settings["heeds"] else 60
    tokens, parts = 0, []
    if question.startswith("judge"):
        return judged(settings, body, chat)
    while tokens < most:
        chances = law(question, text)
        place = [body.get("seed", 0), 0, len(text)]
        token = drawn(chances, body.get("temperature", 1.0), place)
        chance = math.log(chances[token])
        if token == END:
            finish = "stop"
            break
        text, tokens = text + token, tokens + 1
        parts.append((token, chance))
        written = text[len(before) :]
        step = next((stop for stop in stops if stop in written), None)
        if step is not None:
            finish = "stop"
            break
    kept = body.get("include_stop_str_in_output") and settings["stops"] == "kept"
    trimmed = len(step) if step and not kept else 0
    found = []
    for at, (token, log) in enumerate(parts):
        shown = token if at < len(parts) - trimmed else ""
        found.append(part_of(settings, body, chat, shown, token, log))
    # As with most servers, nothing is told of the token that ends an answer.
    end = part_of(settings, body, chat, "", "", None)
    end["choices"][0]["finish_reason"] = finish
    if settings["stops"] == "told" and step:
        end["choices"][0]["stop_reason"] = step
    found.append(end)
    if settings["usage"] == "whole" and not body["stream"]:
        found.append({"choices": [], "usage": usage(settings, body, tokens)})
    if settings["usage"] is True and (body.get("stream_options") or {}).get("include_usage"):
        found.append({"choices": [], "usage": usage(settings, body, tokens)})
    return found


def named(settings, part):
    """The part, with what the server calls itself."""
    told = {"model": settings["served"], "system_fingerprint": settings["fingerprint"]}
    return {**{name: text for name, text in told.items() if text}, **part}


def usage(settings, body, tokens):
    cached = {"prompt_tokens_details": {"cached_tokens": settings["cached"]}}
    prompt = PROMPT_TOKENS * settings["counts"] + begun_tokens(settings, body)
    if isinstance(body.get("prompt"), list):
        prompt = len(body["prompt"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        **cached,
    }


def begun_tokens(settings, body):
    """Those of a beginning, and those that close the message where it is not gone on from."""
    if "messages" not in body:
        return len(asked(settings, body, chat=False)[1])
    last = body["messages"][-1]
    if last["role"] != "assistant":
        return 0
    begun = last["content"].rstrip() if settings["trims"] else last["content"]
    return len(begun) + (0 if goes_on(settings, body) else 2)


def goes_on(settings, body):
    """Whether the last message is gone on from: where asked to, or always."""
    continues = settings["continues"]
    return continues == "always" or (continues is True and body.get("continue_final_message"))


def asked(settings, body, chat):
    """The question, and the beginning of its answer."""
    if not chat:
        prompt = body["prompt"]
        if isinstance(prompt, list):
            prompt = inner(settings).decode(prompt, skip_special_tokens=False)
        ends = [prompt.rfind(one) + len(one) for one in (COUNTING, "What?") if one in prompt]
        end = max(ends, default=len(prompt))
        return prompt[:end], prompt[end:]
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    begun = turns[-1]["content"] if turns[-1]["role"] == "assistant" else ""
    if settings["trims"]:
        begun = begun.rstrip()
    return turns[0]["content"], begun if goes_on(settings, body) else ""


@cache
def tokenizer_in(file):
    from tokenizers import Tokenizer  # few tests need it

    return Tokenizer.from_file(file)


def inner(settings):
    return tokenizer_in(settings["tokenizer"])


def part_of(settings, body, chat, shown, token, log, top=None):
    choice = {"index": 0, "finish_reason": None}
    choice |= {"delta": {"content": shown}} if chat else {"text": shown}
    told = settings["logprobs"] is True or (
        settings["logprobs"] == "top" and "top_logprobs" in body
    )
    if body.get("logprobs") and told and log is not None:
        choice["logprobs"] = chances_of(body, chat, token, log, top or {token: log})
    return {"choices": [choice], "usage": None}


def chances_of(body, chat, token, log, top):
    top = {**top, "~": -20.0}
    if not chat:
        return {"tokens": [token], "token_logprobs": [log], "top_logprobs": [top]}
    tops = [{"token": one, "logprob": chance} for one, chance in top.items()]
    shown = {"top_logprobs": tops} if body.get("top_logprobs") else {}
    return {"content": [{"token": token, "logprob": log, **shown}]}


def judged(settings, body, chat):
    question, _ = asked(settings, body, chat)
    opinions = settings.get("opinions", {})  # by a part of what is judged
    held = next((opinions[part] for part in opinions if part in question), settings["opinion"])
    top = {word: math.log(chance) for word, chance in held.items()}
    word = max(top, key=top.get)
    part = part_of(settings, body, chat, word, word, top[word], top)
    part["choices"][0]["finish_reason"] = "length"
    return [part, {"choices": [], "usage": usage(settings, body, 1)}]


def whole(parts):
    """The parts as one document."""
    said = [part["choices"][0] for part in parts if part["choices"]]
    content = [entry for one in said for entry in one.get("logprobs", {}).get("content", [])]
    texts = [one["delta"]["content"] if "delta" in one else one["text"] for one in said]
    choice = {
        "message": {"content": "".join(texts)},
        "finish_reason": said[-1]["finish_reason"],
        "logprobs": {"content": content},
    }
    counted = [part["usage"] for part in parts if part["usage"]]
    return {"choices": [choice], "usage": counted[0] if counted else None}


if __name__ == "__main__":
    server = Server(*map(int, sys.argv[1:]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
