"""Controls of decoding: limits, errors and defaults."""

import pytest

from forethought.contracts.controls import MOST_GRAMMAR, GenerationControls
from forethought.contracts.errors import BadParameterError


def test_controls_without_settings_are_all_default() -> None:
    assert GenerationControls().default
    assert GenerationControls().describe() == {}
    assert not GenerationControls(min_tokens=1).default


def test_a_mapping_of_biases_becomes_sorted_pairs_that_can_be_hashed() -> None:
    controls = GenerationControls(logit_bias={3: 5, 1: -100})

    assert controls.logit_bias == ((1, -100.0), (3, 5.0))
    assert hash(controls) == hash(GenerationControls(logit_bias=((3, 5.0), (1, -100.0))))
    assert controls.describe() == {"logit_bias": {"1": -100.0, "3": 5.0}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logit_bias": {1: 101}}, "logit_bias is 101"),
        ({"logit_bias": {-1: 1}}, "logit_bias is -1"),
        ({"logit_bias": {"1": 1}}, "logit_bias is '1'"),
        ({"logit_bias": [[1, 2]]}, "logit_bias is"),
        ({"frequency_penalty": 2.1}, "frequency_penalty is 2.1"),
        ({"frequency_penalty": 10**400}, "frequency_penalty is 1000"),
        ({"presence_penalty": -2.1}, "presence_penalty is -2.1"),
        ({"presence_penalty": True}, "presence_penalty is True"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty is nan"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty is inf"),
        ({"min_tokens": -1}, "min_tokens is -1"),
        ({"min_tokens": 1.5}, "min_tokens is 1.5"),
        ({"thinking_budget": -1}, "thinking_budget is -1"),
        ({"ignore_end": 1}, "ignore_end is 1"),
        ({"stop_token_ids": [[1]]}, "stop_token_ids is"),
        ({"stop_token_ids": 5}, "stop_token_ids is 5"),
        ({"allowed_tokens": "12"}, "allowed_tokens is '12'"),
        ({"grammar": "[]", "grammar_kind": "choice"}, "grammar is '[]'"),
        ({"grammar": "{", "grammar_kind": "choice"}, "grammar is '{'"),
        ({"grammar": "[" * 9999, "grammar_kind": "choice"}, "grammar is"),
        ({"grammar": "x", "grammar_kind": "gbnf"}, "grammar_kind is 'gbnf'"),
        ({"grammar": "a" * (MOST_GRAMMAR + 1)}, "the grammar has 262,145 characters"),
    ],
)
def test_values_outside_their_limits_are_refused_with_a_hint(
    given: dict[str, object], said: str
) -> None:
    with pytest.raises(BadParameterError) as caught:
        GenerationControls(**given)  # type: ignore[arg-type]

    assert caught.value.message.startswith(said)
    assert len(caught.value.message) < 120
    assert caught.value.hint


@pytest.mark.parametrize("field", ["stop_token_ids", "allowed_tokens", "logit_bias"])
def test_a_token_beyond_the_vocabulary_is_refused(field: str) -> None:
    given = {7: 1.0} if field == "logit_bias" else (7,)
    controls = GenerationControls(**{field: given})  # type: ignore[arg-type]

    controls.check_vocabulary(8)
    with pytest.raises(BadParameterError, match="token 7 is not in the vocabulary of 7 tokens"):
        controls.check_vocabulary(7)
