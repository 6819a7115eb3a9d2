"""`forethought serve`: an OpenAI-compatible server on this machine."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from forethought import catalogue
from forethought.backends.openai.recipe_check import check_remote
from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.progress import Progress
from forethought.cli.recipes import described, named
from forethought.cli.terminal import write
from forethought.cli.torch_start import start_torch
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.parameters import bytes_of
from forethought.cost.prices import prices_of
from forethought.prefill.plan import check_methods
from forethought.recipes.recipe import Recipe, is_remote
from forethought.recipes.validation import check_money, check_search

if TYPE_CHECKING:
    from forethought.models.model import Model
    from forethought.server.settings import ServerSettings

_NEEDED = ("fastapi", "uvicorn", "sse_starlette", "prometheus_client", "llguidance")
_MOST_KEYS = 1 << 16


def run(given: Given) -> int:
    """Serve until Ctrl-C."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"serve needs packages that are not installed: {', '.join(missing)}",
            'pip install ".[serve]" in a checkout',
        )
    recipe, models = _recipes(given)
    _check_recipe(recipe)
    for name in given[options.ALLOWED]:
        _check_allowed(name)
    keys = _keys(given)
    from forethought.server.settings import ServerSettings

    settings = ServerSettings(
        recipe=recipe,
        models=models,
        allowed=given[options.ALLOWED],
        host=given[options.HOST],
        port=given[options.PORT],
        keys=keys,
        max_concurrent=given[options.CONCURRENT],
        max_requests=given[options.REQUESTS],
        request_seconds=given[options.REQUEST_SECONDS],
        prefix_cache_bytes=_bytes(given[options.PREFIX_CACHE]),
        prices=prices_of(given[options.PRICES]),
        keep_runs=given[options.LOG_PROMPTS] or None,
    )
    _log(verbose=given[options.VERBOSE])
    return _serve(settings, given)


def _serve(settings: ServerSettings, given: Given) -> int:
    from forethought.server.listening import address, bound_socket

    quiet = given[options.QUIET]
    progress = Progress(sys.stderr, quiet).show

    with bound_socket(settings.host, settings.port) as listening:
        url = address(listening)
        start_torch(given[options.THREADS])
        from forethought.models.load import load
        from forethought.server.running import ModelServer

        def loaded(name: str, weights: str) -> Model:
            return load(name, weights=weights, progress=progress)

        def ready() -> None:
            if not quiet:
                write(sys.stderr, _welcome(url, settings, _key_text(given)))
            if given[options.OPEN]:
                import webbrowser

                webbrowser.open(url)

        try:
            ModelServer(settings, loaded).run(listening, ready)
        except KeyboardInterrupt:  # the usual end of a server, after its requests have ended
            if not quiet:
                write(sys.stderr, "stopped\n")
    return 0


def _key_text(given: Given) -> str:
    """A shell expression for the first key, which does not show it."""
    name, file = given[options.KEY_VARIABLE], given[options.KEY_FILE]
    if os.environ.get(name, "").strip() or file is None:
        return f"${name}"
    return f"$(grep -m 1 '[^[:space:]]' {shlex.quote(file)} | tr -d '[:space:]')"


def _welcome(url: str, settings: ServerSettings, key_text: str) -> str:
    """The address, and a line to try it."""
    key = f' -H "Authorization: Bearer {key_text}"' if settings.keys else ""
    model = next(iter(settings.served))
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return (
        f"serving {', '.join(settings.served)} at {url}\n"
        f"curl {url}/v1/chat/completions{key} -d '{body}'\n"
    )


def _recipes(given: Given) -> tuple[Recipe, tuple[str, ...]]:
    """The default recipe, and the names of all other models."""
    first, *others = given[options.SERVED] or (Recipe.model,)
    given.recipe["model"] = first
    recipe = described(given)
    bare = [named(other) for other in others]
    for other, found in zip(others, bare, strict=True):
        if found.approximate or found.search:
            raise UsageError(
                f"-m {other} names methods, and only the first model may",
                "name the model alone: clients add methods to its name",
            )
    drafts = [found.draft for found in bare if found.draft != "self"]
    return recipe, tuple(dict.fromkeys([*(found.model for found in bare), *drafts]))


def _check_recipe(recipe: Recipe) -> None:
    """Raise UsageError for a default recipe that every request would be refused for."""
    check_search(recipe)
    if is_remote(recipe.model):
        check_remote(recipe)
    else:
        check_money(recipe)
    if not recipe.automatic:
        check_methods([(name, catalogue.build(name)) for name in recipe.approximate])


def _check_allowed(name: str) -> None:
    """Raise UsageError for a name that is no encoder, no model, no server and no file."""
    from forethought.models.encoders.folder import WHEEL_ENCODERS
    from forethought.models.sources.hub import is_hub_id
    from forethought.models.sources.wheel import WHEEL_MODELS

    known = name in WHEEL_ENCODERS or name in WHEEL_MODELS or is_remote(name)
    if not known and not Path(name).expanduser().exists() and not is_hub_id(name):
        raise UnknownNameError.among("encoder, judge or plan", name, WHEEL_ENCODERS)


def _keys(given: Given) -> tuple[str, ...]:
    """The keys of the environment variable and of the file."""
    name, file = given[options.KEY_VARIABLE], given[options.KEY_FILE]
    stated = [os.environ.get(name, "")]
    if file is not None:
        try:
            with Path(file).open(encoding="utf-8") as opened:
                stated += opened.read(_MOST_KEYS).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"--api-key-file {file} cannot be read: {error}", "name a text file of keys"
            ) from error
        if not any(key.strip() for key in stated):
            raise UsageError(f"--api-key-file {file} holds no key", "write one key on each line")
    keys = tuple(dict.fromkeys(key.strip() for key in stated if key.strip()))
    if any(not key.isascii() or not key.isprintable() or " " in key for key in keys):
        raise UsageError(
            "a key holds a space, a control character or a letter outside of ASCII",
            "make one: openssl rand -hex 24",
        )
    return keys


def _bytes(size: str) -> int:
    try:
        return bytes_of(size)
    except AssertionError:
        raise UsageError(f"--prefix-cache {size!r} is no size", "write it like 500MB") from None


def _log(*, verbose: bool) -> None:
    """Send the server's log to standard error."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
