"""POST /tokenize and /detokenize, and GET /tokenizer_info, in vLLM's shape."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from forethought.contracts.errors import ForethoughtError
from forethought.models.model import Model
from forethought.server.context import ServerContext, context_of
from forethought.server.errors import as_api_error, bad_request
from forethought.server.json_body import read_body
from forethought.server.openapi import described, failures
from forethought.server.prompts import check_tokens, conversation_prompt, shown_tool
from forethought.server.schemas.common import MethodFields
from forethought.server.schemas.tokenize_request import DetokenizeRequest, TokenizeRequest
from forethought.server.token_texts import decoded, token_ids

router = APIRouter()


@router.post("/tokenize", **described(TokenizeRequest, "tokens"))
async def tokenize(request: Request) -> JSONResponse:
    """The tokens of a text, in which control tokens are recognised, or of a conversation."""
    context = context_of(request)
    fields = await read_body(request, TokenizeRequest, context.settings)
    if (fields.prompt is None) == (fields.messages is None):
        raise bad_request(
            "the request needs either a prompt or messages", "send one of them", "prompt"
        )
    model = _model(context, fields.model)
    try:
        tokens = _tokens(model, fields)
    except ForethoughtError as error:
        raise as_api_error(error, "messages") from error
    found: dict[str, Any] = {
        "count": len(tokens),
        "max_model_len": model.shape.context,
        "tokens": tokens,
        "token_strs": None,
    }
    if fields.return_token_strs:
        found["token_strs"] = [model.tokenizer.text_of(token) for token in tokens]
    return JSONResponse(found)


def _tokens(model: Model, fields: TokenizeRequest) -> list[int]:
    if fields.messages is None:
        special = fields.add_special_tokens is not False
        return token_ids(model.tokenizer, fields.prompt or "", special=special)
    options = fields.chat_template_kwargs
    prompt = conversation_prompt(
        model,
        fields.messages,
        tools=[shown_tool(tool) for tool in fields.tools or ()],
        thinking=None if options is None else options.enable_thinking,
        continue_final=bool(fields.continue_final_message),
    )
    return list(prompt.tokens)


@router.post("/detokenize", **described(DetokenizeRequest, "text"))
async def detokenize(request: Request) -> JSONResponse:
    """The text of tokens, control tokens included."""
    context = context_of(request)
    fields = await read_body(request, DetokenizeRequest, context.settings)
    model = _model(context, fields.model)
    try:
        check_tokens(model, fields.tokens)
    except ForethoughtError as error:
        raise as_api_error(error, "tokens") from error
    return JSONResponse({"prompt": decoded(model.tokenizer, fields.tokens)[0]})


@router.get("/tokenizer_info", responses=failures())
async def tokenizer_info(request: Request) -> JSONResponse:
    """The control tokens and the chat template of the default model."""
    model = _model(context_of(request), None)
    tokenizer = model.tokenizer
    return JSONResponse(
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokenizer.text_of(tokenizer.bos) or None,
            "eos_token": tokenizer.text_of(tokenizer.end) or None,
            "pad_token": None,
            "add_bos_token": tokenizer.add_bos,
            "model_max_length": model.shape.context,
            "vocab_size": tokenizer.vocabulary_size,
            "chat_template": model.template or None,
        }
    )


def _model(context: ServerContext, name: str | None) -> Model:
    return context.model(context.recipes.recipe(MethodFields(model=name)).model)
