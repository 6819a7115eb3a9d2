"""Settings of the server: address, keys, models and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forethought.backends.openai.endpoint import endpoints_of
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.cost.prices import Price
from forethought.recipes.recipe import Recipe, is_remote

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServerSettings:
    """The settings of one server; validated on construction."""

    recipe: Recipe = field(default_factory=Recipe)
    """The default recipe: of requests without a model, or that name its model alone."""
    models: tuple[str, ...] = ()
    """Further models that requests may name."""
    allowed: tuple[str, ...] = ()
    """Encoders, judges and plans that methods of requests may name."""
    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens; empty serves everyone on this machine."""
    max_body_bytes: int = 2 << 20
    """Bytes of a request body at most; a longer text would take seconds to tokenize."""
    max_tokens: int = 1 << 16
    """Tokens of one answer at most."""
    max_choices: int = 64
    """Answers of one request at most, over all of its prompts; also a search's width."""
    max_total_tokens: int = 1 << 18
    """Tokens of all answers of one request at most; a search gets it as its token budget."""
    max_requests: int = 1280
    """Requests in progress at most on each engine, running and waiting; more get status 429.

    A tenant below its equal share is admitted even if others fill the engine."""
    max_concurrent: int = 256
    """Sequences that run at once at most, in prefill or decode."""
    body_seconds: float = 30.0
    """Seconds within which a client sends a request's headers, and again its body."""
    request_seconds: float = 900.0
    """Seconds of one request at most."""
    ping_seconds: float = 15.0
    """Seconds between the comments that keep a silent stream open."""
    prefix_cache_bytes: int = 2 << 30
    """Bytes of the prefix cache that requests share."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Prices of models on other servers, by name; under "" the price of all others."""
    keep_runs: bool | None = None
    """Whether answers and their prompts are kept for the page; None only if the server is local."""

    def __post_init__(self) -> None:
        if not self.local and not self.keys:
            raise UsageError(
                f"--host {self.host} lets other machines in, and no key protects the server",
                "set FORETHOUGHT_SERVE_KEY or --api-key-file, or keep --host 127.0.0.1",
            )
        for name in ("body_seconds", "request_seconds", "ping_seconds"):
            if not 0 < (seconds := getattr(self, name)) < math.inf:
                raise UsageError(f"{name} {seconds:g} is no time", "give seconds above 0")
        names = self._own_names
        if len(self.served) < len(names):
            known = [public_name(one) for one in names]
            twice = next(one for one in known if known.count(one) > 1)
            raise UsageError(
                f"two models have the name {twice!r} for clients",
                "name the one on a server otherwise: http://HOST/v1#NAME, or leave one out",
            )

    @property
    def local(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in LOOPBACK

    @property
    def keeps_runs(self) -> bool:
        """Whether answers and their prompts are kept for the page."""
        return self.local if self.keep_runs is None else self.keep_runs

    @property
    def served(self) -> dict[str, str]:
        """The models that requests may name, as targets and drafts: public names to our own."""
        return {public_name(name): name for name in self._own_names}

    def public_text(self, text: str) -> str:
        """A text for clients: models have their public names, and no server's address shows."""
        for public, name in self.served.items():
            if public == name:
                continue
            text = text.replace(spelling.quoted(name), spelling.quoted(public))
            text = text.replace(name, public)
            for place in endpoints_of(name) if is_remote(name) else ():
                text = text.replace(place.base, f"the server of {public}")
        return text

    @property
    def _own_names(self) -> list[str]:
        known = (self.recipe.model, self.recipe.draft, *self.models)
        return list(dict.fromkeys(name for name in known if name != "self"))


def public_name(model: str) -> str:
    """The name of a model on the wire: no folder and no server's address."""
    if is_remote(model):
        return model.partition("#")[2] or model.partition("://")[2].partition("/")[0]
    path = Path(model).expanduser()
    return path.stem if path.suffix == ".gguf" else path.name if path.exists() else model
