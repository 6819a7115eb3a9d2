"""Typed decisions in the shapes of OpenAI's API and of System One: requests in, answers out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from forethought.server.schemas.decision_request import (
    ChoiceQuestion,
    DecisionRequest,
    InputCall,
    InputCallOutput,
    InputJson,
    InputText,
    PredicateQuestion,
    ScoreQuestion,
)
from forethought.server.schemas.systemone_request import (
    LevelsQuestion,
    NoulQuestion,
    OptionsQuestion,
    SystemOneRequest,
)
from forethought.sessions.decisions import (
    YES_NO,
    DecisionAnswer,
    DecisionOption,
    DecisionQuestion,
)

Json = dict[str, Any]
_JOINT = "\n\n"


def openai_state(fields: DecisionRequest) -> str:
    """The input as one text; messages and calls have a line that names them."""
    if isinstance(fields.input, str):
        return fields.input
    names = {one.call_id: one.name for one in fields.input if isinstance(one, InputCall)}
    shown = []
    for item in fields.input:
        match item:
            case InputCall():
                shown.append(f"[call of {item.name}]\n{item.given}")
            case InputCallOutput():
                shown.append(f"[result of {names[item.call_id]}]\n{_parts_text(item.output)}")
            case _:
                shown.append(f"[{item.role}]\n{_parts_text(item.content)}")
    if len(fields.input) == 1 and shown[0].startswith("[user]\n"):
        return shown[0].removeprefix("[user]\n")
    return _JOINT.join(shown)


def _parts_text(content: str | list[Any]) -> str:
    return content if isinstance(content, str) else "\n".join(part.shown for part in content)


def openai_questions(fields: DecisionRequest) -> list[DecisionQuestion]:
    """The questions of a request of OpenAI's shape."""
    return [_openai_question(one) for one in fields.questions]


def _openai_question(
    one: PredicateQuestion | ChoiceQuestion | ScoreQuestion,
) -> DecisionQuestion:
    instructions = _instructions(one.instructions)
    match one:
        case PredicateQuestion():
            return DecisionQuestion("predicate", instructions)
        case ChoiceQuestion():
            options = [(_choice_text(c.value), c.description) for c in one.choices]
            return DecisionQuestion("choice", instructions, _options(options))
        case ScoreQuestion():
            levels = [(level.label, level.description) for level in one.levels]
            return DecisionQuestion("score", instructions, _options(levels))


def _instructions(given: str | Sequence[InputText | InputJson]) -> str:
    return given if isinstance(given, str) else "\n".join(part.shown for part in given)


def _choice_text(value: str | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _options(pairs: Sequence[tuple[str, str | None]]) -> tuple[DecisionOption, ...]:
    return tuple(DecisionOption(text, description or "") for text, description in pairs)


def openai_answers(
    fields: DecisionRequest, answers: Sequence[DecisionAnswer], usage: tuple[int, int]
) -> Json:
    """The response in OpenAI's shape; `usage` are all tokens and the cached ones among them."""
    tokens, cached = usage
    pairs = zip(fields.questions, answers, strict=True)
    return {
        "model": fields.model,
        "answers": [_openai_answer(question, answer) for question, answer in pairs],
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens,
        },
    }


def _openai_answer(
    question: PredicateQuestion | ChoiceQuestion | ScoreQuestion, answer: DecisionAnswer
) -> Json:
    chances = answer.probabilities
    head = {"type": question.type, "name": question.name}
    match question:
        case PredicateQuestion():
            return {**head, "probability": chances[0], **_extras(answer)}
        case ChoiceQuestion():
            values = [one.value for one in question.choices]
            listed = [
                {"value": value, "probability": chance}
                for value, chance in zip(values, chances, strict=True)
            ]
            told = {"choice": values[answer.best], "confidence": answer.choice_confidence}
            return {**head, **told, "probabilities": listed, **_extras(answer)}
        case ScoreQuestion():
            listed = [
                {"label": level.label, "value": place, "probability": chance}
                for place, (level, chance) in enumerate(zip(question.levels, chances, strict=True))
            ]
            told = {"score": answer.score, "confidence": answer.score_confidence}
            return {**head, **told, "probabilities": listed, **_extras(answer)}


def systemone_state(fields: SystemOneRequest) -> str:
    """The state as text."""
    return _value_text(fields.state)


def _value_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def systemone_questions(fields: SystemOneRequest) -> list[DecisionQuestion]:
    """The questions of a System One request, in its order."""
    return [_systemone_question(one) for one in fields.questions.values()]


def _systemone_question(one: NoulQuestion | OptionsQuestion | LevelsQuestion) -> DecisionQuestion:
    instructions = _value_text(one.instructions)
    match one:
        case NoulQuestion():
            told = (one.criteria.true, one.criteria.false) if one.criteria else (None, None)
            pairs = zip(YES_NO, map(_value_text, told), strict=True)
            return DecisionQuestion("predicate", instructions, _options(list(pairs)))
        case OptionsQuestion():
            listed = [(text, _value_text(told)) for text, told in one.criteria.items()]
            return DecisionQuestion("choice", instructions, _options(listed))
        case LevelsQuestion():
            levels = [(_value_text(level), "") for level in one.criteria]
            return DecisionQuestion("score", instructions, _options(levels))


def systemone_answers(
    fields: SystemOneRequest, answers: Sequence[DecisionAnswer], usage: tuple[int, int]
) -> Json:
    """The response in the shape of System One."""
    pairs = zip(fields.questions.items(), answers, strict=True)
    return {
        "model": fields.model,
        "answers": {name: _systemone_answer(one, answer) for (name, one), answer in pairs},
        "usage": {"input_tokens": usage[0], "output_tokens": 0, "x_cached_tokens": usage[1]},
    }


def _systemone_answer(
    question: NoulQuestion | OptionsQuestion | LevelsQuestion, answer: DecisionAnswer
) -> Json:
    chances = answer.probabilities
    match question:
        case NoulQuestion():
            return {"type": "noul", "noul": chances[0], **_extras(answer)}
        case OptionsQuestion():
            names = list(question.criteria)
            return {
                "type": "choice",
                "choice": names[answer.best],
                "confidence": answer.choice_confidence,
                "probabilities": dict(zip(names, chances, strict=True)),
                **_extras(answer),
            }
        case LevelsQuestion():
            places = [str(place) for place in range(len(chances))]
            return {
                "type": "score",
                "score": answer.score,
                "legend": dict(zip(places, question.criteria, strict=True)),
                "confidence": answer.score_confidence,
                "probabilities": dict(zip(places, chances, strict=True)),
                **_extras(answer),
            }


def _extras(answer: DecisionAnswer) -> Mapping[str, Any]:
    """Fields of our own: the mass outside of the labels, or that texts were scored.

    Scores of texts are log-probabilities divided by the number of tokens.
    """
    fit = answer.calibration
    told = {"x_calibrated": False if fit is None else {"by": fit.method, **fit.summary()}}
    if answer.outside is None:
        return {"x_scored": "texts, by log-probability per token", **told}
    return {"x_outside": answer.outside, **told}
