"""Text settings of a model folder: tokenizer, chat template, BOS and EOS tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.checkpoint import Ends
from forethought.models.checkpoint.claims import Claims
from forethought.models.checkpoint.json_file import read_optional, read_text
from forethought.models.tokenization.library import library_errors
from forethought.models.tokenization.tokenizer import read_published, tested_tokenizer

_LONGEST_TEMPLATE = 1 << 20
_MOST_TOKEN = (1 << 32) - 1  # largest token id of the tokenizers library


def template_of(folder: Path, settings: Mapping[str, Any]) -> str:
    """The chat template, from its own file or from tokenizer_config.json."""
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        return read_text(alone, _LONGEST_TEMPLATE)
    claims = _claims(folder, settings)
    if isinstance(settings.get("chat_template"), list):
        named = claims.parts("chat_template")
        default = [entry for entry in named if entry.text("name", "") == "default"]
        return default[-1].text("template", longest=_LONGEST_TEMPLATE) if default else ""
    return claims.text("chat_template", "", longest=_LONGEST_TEMPLATE)


def _claims(folder: Path, settings: Mapping[str, Any]) -> Claims:
    return Claims(settings, str(folder / "tokenizer_config.json"), "fetch it again")


def ends_of(
    folder: Path, inner: Tokenizer, config: Mapping[str, Any], settings: Mapping[str, Any]
) -> Ends:
    """BOS and EOS tokens, from the generation, model and tokenizer settings."""
    path = folder / "generation_config.json"
    generation = Claims(read_optional(path), str(path), "fetch it again")
    whole = Claims(config, str(folder / "config.json"), "fetch it again")
    stated = _claims(folder, settings)
    named, bos = _number(inner, stated, "eos_token"), _number(inner, stated, "bos_token")
    eos = _tokens(generation if "eos_token_id" in generation.stated else whole, "eos_token_id")
    own = next(iter(_tokens(whole, "bos_token_id")), None)
    adds = stated.flag("add_bos_token") if stated.has("add_bos_token") else _adds(inner, bos)
    return Ends(
        bos=own if bos is None else bos,
        eos=tuple(dict.fromkeys([*eos, *(() if named is None else (named,))])),
        add_bos=adds,
    )


def _tokens(claims: Claims, key: str) -> list[int]:
    """Token ids of a setting that holds one, several or none; -1 also means none."""
    if not claims.has(key):
        return []
    several = isinstance(claims.stated[key], list)
    single = claims if several else Claims({key: [claims.stated[key]]}, claims.where, claims.hint)
    return [token for token in single.counts(key, least=-1, most=_MOST_TOKEN) if token >= 0]


def _number(inner: Tokenizer, settings: Claims, key: str) -> int | None:
    """The id of a token that is stated as text, or as an object with its text."""
    if isinstance(settings.stated.get(key), dict):
        settings, key = settings.inner(key), "content"
    return inner.token_to_id(settings.text(key, ""))


def _adds(inner: Tokenizer, bos: int | None) -> bool:
    return bos is not None and bos in inner.encode("a", add_special_tokens=True).ids[:1]


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder; transformers converts older formats."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return read_published(path)
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UnsupportedModelError(
            f"{folder} holds no tokenizer.json", "to convert it: pip install '.[hub]' in a checkout"
        ) from error
    hint = "use a model that comes with a tokenizer.json"
    with library_errors(f"the tokenizer in {folder} cannot be converted", hint):
        converted = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        inner: Tokenizer = converted.backend_tokenizer
    return tested_tokenizer(inner, str(folder))
