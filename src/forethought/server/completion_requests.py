"""From a completion request to live requests, one for each prompt."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Prompt
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.server.chat_requests import answer_tokens, check_stream_options, with_logprobs
from forethought.server.context import ServerContext, tenant_of
from forethought.server.controls import check_grammar, controls_of
from forethought.server.errors import as_api_error, bad_request
from forethought.server.prompts import built, check_length, raw_prompt
from forethought.server.schemas.completion_request import CompletionRequest
from forethought.sessions.live_session import LiveRequest

_USUAL_TOKENS = 16
_MOST_PROMPTS = 256


@dataclass(frozen=True)
class AskedCompletion:
    """A completion request, ready to run."""

    fields: CompletionRequest
    id: str
    lives: tuple[LiveRequest, ...]
    """One for each prompt."""
    model: Model | None
    """The model on this machine; None for one of another server."""
    default_name: str
    """The recipe's spelling for clients that name no model."""

    @property
    def name(self) -> str:
        """The model's name as the client wrote it."""
        return self.fields.model or self.default_name

    @property
    def n(self) -> int:
        """The number of choices for each prompt."""
        return self.fields.n or 1

    @property
    def samples(self) -> int:
        """The number of answers that are sampled for each prompt."""
        return self.fields.best_of or self.n

    @property
    def scores_only(self) -> bool:
        """Whether the request asks for no token."""
        return self.fields.max_tokens == 0


async def asked_completion(
    context: ServerContext, request: Request, fields: CompletionRequest
) -> AskedCompletion:
    """The live requests of a completion request; raises ApiError."""
    _check(fields)
    context.check_ready()
    prompts = fields.prompts
    samples = fields.best_of or fields.n or 1
    answers = samples * len(prompts)
    most = answer_tokens(context.settings, fields.max_tokens, answers, _USUAL_TOKENS)
    recipe = context.recipes.sampled(fields, samples=samples, max_tokens=most)
    recipe = with_logprobs(recipe, fields.logprobs or 0, fields.logprobs is not None)
    _check_search(fields, recipe)
    model = context.models.get(recipe.model)
    laid = await _prompts(context, recipe, fields)
    identifier = f"cmpl-{uuid.uuid4().hex}"
    # Clients that score a text read the entry of one decoded token, even of an end token.
    scoring = bool(fields.echo) and fields.logprobs is not None and most <= 1
    plain = LiveRequest(
        name=identifier,
        recipe=recipe,
        document=fields.document or "",
        controls=controls_of(fields, ignore_end=scoring, score_only=fields.max_tokens == 0),
        remarks=context.recipes.remarks(fields, recipe),
        may_run_exact=context.recipes.may_run_exact(fields),
        tenant=tenant_of(request),
        prompt_logprobs=fields.logprobs if fields.echo else None,
    )
    lives = tuple(
        replace(
            plain,
            name=f"{identifier}-{number}" if len(prompts) > 1 else identifier,
            question=laid[number].text if model else str(prompts[number]),
            prompt=laid[number] if model else None,
        )
        for number in range(len(prompts))
    )
    await check_grammar(model, plain.controls, fields)
    shown = context.settings.public_text(plain.recipe.spelling)
    return AskedCompletion(fields, identifier, lives, model, shown)


async def _prompts(
    context: ServerContext, recipe: Recipe, fields: CompletionRequest
) -> Sequence[Prompt]:
    model = context.models.get(recipe.model)
    if model is None:
        if fields.echo or not all(isinstance(one, str) for one in fields.prompts):
            raise bad_request(
                "a model on another server takes prompts as text, and does not echo them",
                "send text, without echo",
                "prompt",
            )
        return ()
    document = fields.document or ""
    lengths = [len(one) + len(document) for one in fields.prompts]
    for one, length in zip(fields.prompts, lengths, strict=True):
        if isinstance(one, str):
            check_length(context.models, recipe, length)
    special = fields.add_special_tokens is not False

    def build() -> list[Prompt]:
        return [
            raw_prompt(model, one, document=document, special=special) for one in fields.prompts
        ]

    try:
        return await built(sum(lengths), build)
    except ForethoughtError as error:
        raise as_api_error(error, "prompt") from error


def _check(fields: CompletionRequest) -> None:
    check_stream_options(fields)
    if len(fields.prompts) > _MOST_PROMPTS:
        raise bad_request(
            f"the request has {len(fields.prompts):,} prompts",
            f"send {_MOST_PROMPTS} at most",
            "prompt",
        )
    if fields.best_of is None:
        return
    if fields.best_of < (fields.n or 1):
        raise bad_request(
            f"best_of={fields.best_of} is less than n={fields.n}", "raise best_of", "best_of"
        )
    if fields.stream and fields.best_of > (fields.n or 1):
        raise bad_request(
            "the best of several answers is known at the end, so it is not streamed",
            "leave out stream, or best_of",
            "best_of",
        )


def _check_search(fields: CompletionRequest, recipe: Recipe) -> None:
    if not recipe.plain and fields.echo:
        raise bad_request("a search does not echo its prompt", "leave out echo", "echo")
