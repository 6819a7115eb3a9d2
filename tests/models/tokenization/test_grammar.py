"""Grammars: every answer that may end is valid, for schemas and texts of many kinds."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers.models import WordLevel

from forethought.contracts.errors import BadParameterError, UsageError
from forethought.models.gguf.tokenizer import build_tokenizer
from forethought.models.model import Model
from forethought.models.tokenization.grammar import grammar_constraint
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.models.tiny_tokenizers import byte_level, piece_metadata
from tests.tiny_model import tiny_tokenizer

pytest.importorskip("llguidance")

BYTES = tiny_tokenizer(60)
SPLIT = Tokenizer(byte_level("qwen2"), ends=[2])
PIECES = Tokenizer(build_tokenizer(piece_metadata(prefix=False)), ends=[1])
TOKENIZERS = {"byte-level": BYTES, "gguf byte-level": SPLIT, "sentence pieces": PIECES}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def sampled(
    tokenizer: Tokenizer, grammar: str, kind: Any = "json", seed: int = 0, most: int = 1000
) -> tuple[str, bool]:
    """A text drawn uniformly token by token, and whether it ended by itself."""
    constraint, rng = grammar_constraint(tokenizer, grammar, kind), np.random.default_rng(seed)
    tokens: list[int] = []
    while not constraint.complete and len(tokens) < most:
        allowed = constraint.allowed(tokenizer.vocabulary_size).nonzero().flatten().tolist()
        # The end is likely where it may come, so that texts are short.
        ends = [one for one in allowed if one in tokenizer.ends]
        token = ends[0] if ends and rng.random() < 0.5 else allowed[rng.integers(len(allowed))]
        if token in tokenizer.ends:
            break
        constraint.accept(token)
        tokens.append(token)
    return tokenizer.decode(tokens), len(tokens) < most


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value follows a schema of the kinds that `schemas` makes."""
    if "enum" in schema:
        return any(value == one and type(value) is type(one) for one in schema["enum"])
    match schema["type"]:
        case "string":
            return isinstance(value, str) and len(value) <= schema["maxLength"]
        case "integer":
            whole = isinstance(value, int) and not isinstance(value, bool)
            return whole and schema["minimum"] <= value <= schema["maximum"]
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "array":
            sizes = schema["minItems"] <= len(value) <= schema["maxItems"]
            return sizes and all(valid(one, schema["items"]) for one in value)
    properties = schema["properties"]
    named = set(schema["required"]) <= set(value) <= set(properties)
    return named and all(valid(one, properties[name]) for name, one in value.items())


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of objects whose properties follow `inner`."""
    names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
    properties = st.dictionaries(names, inner, min_size=1, max_size=3)
    return properties.flatmap(
        lambda found: st.lists(st.sampled_from(sorted(found)), unique=True).map(
            lambda required: {
                "type": "object",
                "properties": found,
                "required": required,
                "additionalProperties": False,
            }
        )
    )


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of short arrays."""
    sizes = st.tuples(st.integers(0, 2), st.integers(2, 3))
    return st.tuples(inner, sizes).map(
        lambda pair: {
            "type": "array",
            "items": pair[0],
            "minItems": pair[1][0],
            "maxItems": pair[1][1],
        }
    )


BOUNDS = st.tuples(st.integers(-999, 0), st.integers(0, 999))
LEAVES = st.one_of(
    st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 6)),
    BOUNDS.map(lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[1]}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}]),
    st.lists(
        st.one_of(st.text(max_size=5), st.integers(-99, 99), st.booleans()), min_size=1, max_size=3
    ).map(lambda values: {"enum": values}),
)
SCHEMAS = st.recursive(LEAVES, lambda one: st.one_of(objects(one), arrays(one)), max_leaves=5)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 5))
@example(schema=PERSON, seed=0)
@example(schema={"enum": ['"', "\\", "\n", "é😀", "\x7f", "\u2028", "</s>"]}, seed=0)
def test_an_answer_that_ends_follows_its_schema(
    tokenizer: Tokenizer, schema: dict[str, Any], seed: int
) -> None:
    text, ended = sampled(tokenizer, json.dumps(schema), seed=seed)

    assert ended
    assert valid(json.loads(text), schema)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@given(
    choices=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4),
    seed=st.integers(0, 3),
)
@example(choices=["\uf900"], seed=0)  # NFC makes another letter of it
@example(choices=["\x7f", "\x00", "\x85", "/", '"', "\\", "\\u0041", "a b\n", "<s>"], seed=0)
@settings(max_examples=40, deadline=None)
def test_a_choice_is_one_of_its_texts(tokenizer: Tokenizer, choices: list[str], seed: int) -> None:
    text, ended = sampled(tokenizer, json.dumps(choices), "choice", seed)

    assert ended
    assert text in choices


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize("pattern", [r"[a-c]{2,4}(x|yz)", r"[0-9]{3}-[0-9]{2}", "é?(ab)*"])
def test_an_answer_matches_its_regular_expression(tokenizer: Tokenizer, pattern: str) -> None:
    for seed in range(5):
        text, ended = sampled(tokenizer, pattern, "regex", seed)

        assert ended
        assert re.fullmatch(pattern, text)


def test_an_answer_follows_a_lark_grammar() -> None:
    grammar = 'start: term (("+" | "*") term)*\nterm: /[0-9]/ | "(" start ")"\n'

    texts = [sampled(BYTES, grammar, "lark", seed)[0] for seed in range(10)]

    assert all(isinstance(eval(text), int) for text in texts)
    assert any(len(text) > 1 for text in texts)


@pytest.mark.parametrize("literal", ['"<s>"', '"a<s>b"', '"<s>\\n"', '"<s><s>"'])
def test_a_control_token_in_a_literal_is_the_token_itself(literal: str) -> None:
    constraint = grammar_constraint(BYTES, f'start: x*\nx: {literal} "+"\n', "lark")
    control, written = BYTES.token_of("<s>"), json.loads(literal)
    wanted: list[int | None] = []
    for part in re.split("(<s>)", written + "+"):
        wanted += [control] if part == "<s>" else list(BYTES.encode(part))

    for token in wanted * 2:
        assert token is not None
        assert constraint.allowed(BYTES.vocabulary_size)[token]
        constraint.accept(token)


def test_any_object_is_allowed_where_the_schema_says_no_more() -> None:
    for seed in range(20):
        text, ended = sampled(BYTES, '{"type": "object"}', seed=seed, most=4000)
        if ended:
            assert isinstance(json.loads(text), dict)


def test_white_space_between_parts_is_bounded() -> None:
    constraint = grammar_constraint(BYTES, json.dumps(PERSON), "json")
    (space,) = BYTES.encode(" ")
    for token in BYTES.encode("{"):
        constraint.accept(token)
    constraint.accept(space)

    assert not constraint.allowed(BYTES.vocabulary_size)[space]


def test_constraints_of_one_grammar_are_independent() -> None:
    first, second = (grammar_constraint(BYTES, '["ab", "cd"]', "choice") for _ in range(2))
    (a,), (c,) = BYTES.encode("a"), BYTES.encode("c")

    first.accept(a)

    assert not first.allowed(BYTES.vocabulary_size)[c]
    assert second.allowed(BYTES.vocabulary_size)[c]


def test_a_token_that_is_not_allowed_is_an_error() -> None:
    constraint = grammar_constraint(BYTES, '["ab"]', "choice")

    with pytest.raises(UsageError, match="the grammar fails") as caught:
        constraint.accept(BYTES.encode("b")[0])
    assert caught.value.hint


def test_rows_beyond_the_vocabulary_are_never_allowed() -> None:
    constraint = grammar_constraint(BYTES, "(?s:.)*", "regex")
    padded = BYTES.vocabulary_size + 1000

    allowed = constraint.allowed(padded)

    assert len(allowed) == padded
    assert not allowed[BYTES.vocabulary_size :].any()
    assert not allowed[BYTES.bos or 0]  # a control token is no text


BAD = {
    "malformed": ("{", "json", "EOF"),
    "no schema": ("[1]", "json", "schema"),
    "a Boolean": ("true", "json", ""),
    "unknown type": ('{"type": "strng"}', "json", "strng"),
    "unsupported": ('{"type": "array", "uniqueItems": true}', "json", "uniqueItems"),
    "remote": ('{"$ref": "http://127.0.0.1:1/x"}', "json", "not"),
    "a file": ('{"$ref": "file:///etc/hostname"}', "json", "not"),
    "endless": ('{"$ref": "#"}', "json", ""),
    "too deep": ('{"a":' * 3000, "json", "recursion"),
    "a surrogate": ('{"enum": ["\ud800"]}', "json", "surrogates"),
    "brackets": ("[", "regex", "unclosed"),
    "looks ahead": ("(?=a)b", "regex", "look-around"),
    "no rule": ("start: x", "lark", "x"),
    "no grammar": ("nonsense(", "lark", ""),
}


@pytest.mark.parametrize(("grammar", "kind", "said"), BAD.values(), ids=BAD)
def test_a_grammar_that_cannot_be_used_is_refused(grammar: str, kind: Any, said: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        grammar_constraint(BYTES, grammar, kind)

    assert said in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.hint


PATTERNS = [{"type": "string", "pattern": f"[a-z]{{{n}}}b.*"} for n in range(40)]
HEAVY = [
    {"type": "integer", "multipleOf": 9_999_991},
    {"allOf": PATTERNS},
]


@pytest.mark.parametrize(
    "schema",
    [HEAVY[0], pytest.param(HEAVY[1], marks=pytest.mark.slow)],
    ids=["multiples", "intersections"],
)
def test_a_schema_that_takes_too_long_is_refused_and_not_compiled_here(
    schema: dict[str, Any],
) -> None:
    spent = time.process_time()

    with pytest.raises(BadParameterError, match=r"too complex|Unable"):
        grammar_constraint(BYTES, json.dumps(schema), "json")

    assert time.process_time() - spent < 1  # the work was another process's, which was ended


def test_a_tokenizer_of_an_unknown_kind_follows_no_grammar() -> None:
    inner = Inner(WordLevel({"a": 0}, unk_token="a"))

    with pytest.raises(UsageError, match="this model's tokenizer") as caught:
        grammar_constraint(Tokenizer(inner), '["a"]', "choice")
    assert caught.value.hint


def test_without_llguidance_the_hint_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)

    with pytest.raises(UsageError) as caught:
        grammar_constraint(tiny_tokenizer(), '["a"]', "choice")
    assert 'pip install ".[serve]" in a checkout' in caught.value.hint


def test_the_default_model_can_follow_a_schema(smollm2: Model) -> None:
    text = '{"name": "Zoë 😀", "age": 41}'
    constraint = grammar_constraint(smollm2.tokenizer, json.dumps(PERSON), "json")

    for token in smollm2.tokenizer.encode(text):
        assert constraint.allowed(smollm2.shape.vocabulary)[token]
        constraint.accept(token)

    assert constraint.complete
