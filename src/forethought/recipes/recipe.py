"""Recipes: a model, its methods, sampling parameters, a budget and a seed.

A recipe is spelled `MODEL+draft(MODEL)+METHOD(parameter=value)@STRATEGY(parameter=value)@SCORER`.
The spelling leaves out a model that drafts for itself and parameters at their defaults. Names of
models with a +, an @ or a bracket are quoted. The spelling names the computation; the JSON form
holds every field that determines an answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from forethought import catalogue
from forethought.contracts import spelling
from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError
from forethought.contracts.parameters import Range, Whole
from forethought.cost.budget import Limit, spend_limit

__all__ = ["Limit", "Recipe", "spend_limit"]

WEIGHTS = ("auto", "bf16", "int4", "int8", "w8a8")
AUTO = "auto"
"""Stands for methods that are chosen once the prompt is known."""
AUTO_LOSS = 0.1
"""The loss of score, from 0 to 1, that `auto` allows unless it is spelled `auto(loss=...)`."""
_LIMITS = {
    "max_tokens": Whole(1, 1 << 20),
    "temperature": Range(0, 2),
    "top_k": Whole(0, 1 << 20),
    "top_p": Range(0, 1),
    "min_p": Range(0, 1),
    "samples": Whole(1, 1024),
    "abstain_below": Range(0, 1),
    "logprobs": Whole(0, 20),
    "seed": Whole(0, (1 << 63) - 1),
}
WARM = 0.7
"""Default temperature of a search; at 0 all its samples would be equal."""
_ASIDE = "shortened-prompt"
"""The ability that such a strategy needs."""
_SEARCHING = ("search", "scorer")
_SURE = ("confidence", "abstain_below")
"""Fields that are no part of the JSON of a recipe that leaves them at their defaults."""
_DRAFT = re.compile(r"draft\s*\((.*)\)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything that determines an answer besides the question; validated on construction.

    Each field is a flag of the command line, and its docstring is the flag's help.
    """

    model: str = "smollm2"
    """A name, hub id, folder, GGUF file or servers; --model also takes a recipe."""
    draft: str = "self"
    """The draft model; `self` is the model itself, or its first layers if the method allows."""
    approximate: tuple[str, ...] = ()
    """Methods of `forethought list`, in order; repeat the flag, or join by +."""
    search: str = ""
    """A strategy of `forethought list strategies`; without one, a plain answer."""
    scorer: str = ""
    """The scorer that ranks its candidates: see `forethought list scorers`."""
    max_tokens: int = 256
    """Maximum tokens of an answer."""
    temperature: float | None = None
    """Sampling temperature; 0 is greedy. By default 0, or 0.7 with a search."""
    top_k: int = 0
    """Sample from the k most probable tokens; 0: from all."""
    top_p: float = 1.0
    """Nucleus sampling: from the most probable tokens that reach this total."""
    min_p: float = 0.0
    """Sample from tokens at least this share as probable as the top one."""
    samples: int = 1
    """Answers to sample."""
    stop: tuple[str, ...] = ()
    """A stop string: the answer ends before it; repeatable."""
    keep_stop: bool = False
    """Keep the stop string in the answer."""
    logprobs: int = 0
    """Most probable tokens to report at each position, in --jsonl."""
    weights: str = "auto"
    """Weight format: auto, bf16, int4, int8 or w8a8."""
    seed: int = 0
    """The same seed gives the same answer."""
    budget: str = ""
    """Maximum to spend: 500tok, 2s, 1TFLOP or $0.01, joined by commas."""
    confidence: tuple[str, ...] = ()
    """How sure the answer is, by a scorer such as p-true; repeatable, the first one decides."""
    abstain_below: float = 0.0
    """Withhold an answer whose confidence is lower; 0 withholds none."""

    def __post_init__(self) -> None:
        self._check_kinds()
        for name, limit in _LIMITS.items():
            value = self.warmth if name == "temperature" else getattr(self, name)
            if problem := limit.problem(value):
                raise BadParameterError(
                    f"{_flag(name)} {value!r} {problem}",
                    "see: forethought ask --help",
                )
        if self.weights not in WEIGHTS:
            raise UnknownNameError.among("weight format", self.weights, WEIGHTS)
        if not self.model.strip() or not self.draft.strip():
            raise BadParameterError("a model has no name", "see: forethought list models")
        if "" in self.stop:
            raise BadParameterError("--stop '' would end every answer", "give it some text")
        tokens = spend_limit(self.budget).tokens
        if tokens is not None and tokens < self.samples:
            raise BadParameterError(
                f"a budget of {tokens} tokens is less than one token for each of {self.samples} "
                "samples",
                f"allow {self.samples}tok or more, or draw fewer samples",
            )
        self._normalise()

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal; a default temperature equals the same one stated."""
        return isinstance(other, Recipe) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    @property
    def _values(self) -> tuple[Any, ...]:
        """All fields, with the default of the temperature applied."""
        names = (item.name for item in fields(self))
        return tuple(self.warmth if n == "temperature" else getattr(self, n) for n in names)

    @property
    def spelling(self) -> str:
        """The recipe's spelling, as `parse` reads it."""
        draft = [] if self.draft == "self" else [f"draft({spelling.quoted(self.draft)})"]
        plain = "+".join([spelling.quoted(self.model), *draft, *self.approximate])
        return "@".join(part for part in (plain, self.search, self.scorer) if part)

    @property
    def settings(self) -> dict[str, Any]:
        """Fields that differ from their defaults, except the spelled ones and the seed."""
        spelled = {"model", "draft", "approximate", *_SEARCHING, "seed"}
        defaults = {item.name: item.default for item in fields(self) if item.name not in spelled}
        return {
            name: getattr(self, name)
            for name, value in defaults.items()
            if getattr(self, name) != value and not self._usual(name)
        }

    def _usual(self, name: str) -> bool:
        """Whether a field is the temperature, and it is that of recipes that state none."""
        return name == "temperature" and self.warmth == _default_temperature(self.search)

    @property
    def warmth(self) -> float:
        """The sampling temperature, with its default applied."""
        stated = self.temperature
        return _default_temperature(self.search) if stated is None else stated

    @property
    def asking(self) -> Recipe:
        """The recipe of a search's samples, without the choice among them."""
        unjudged = replace(self, confidence=(), abstain_below=0.0, scorer="", search="")
        return replace(unjudged, samples=1, budget="", temperature=self.warmth)

    @property
    def plain(self) -> bool:
        """Whether answers may stream: no search chooses among them, and nothing judges them."""
        return not self.search and not self.confidence

    @property
    def may_abstain(self) -> bool:
        """Whether an answer may be withheld, by its confidence or by the strategy."""
        search = self.search
        abstains = bool(search) and catalogue.build(search, "strategies").may_abstain
        return bool(self.abstain_below or abstains)

    @property
    def drafts_answers(self) -> bool:
        """Whether the strategy samples from the draft too."""
        search = self.search
        return bool(search) and "draft" in catalogue.build(search, "strategies").needs

    @property
    def shortens_aside(self) -> bool:
        """Whether the strategy samples behind the shortened prompt beside the whole one."""
        search = self.search
        return bool(search) and _ASIDE in catalogue.build(search, "strategies").needs

    @property
    def judge(self) -> str:
        """Address of a server model that a scorer or a confidence method asks; empty for none."""
        named = [one for one in (self.scorer, *self.confidence) if one]
        addresses = (str(catalogue.build(one, "scorers").by) for one in named)
        return next(filter(None, addresses), "")

    @property
    def automatic(self) -> bool:
        """Whether the methods are chosen once the prompt is known."""
        return any(map(is_auto, self.approximate))

    @property
    def allowed_loss(self) -> float:
        """The loss of score, from 0 to 1, that automatic choices allow."""
        stated = [spelling.parse(one).settings for one in self.approximate if is_auto(one)]
        return float(stated[0].get("loss", AUTO_LOSS)) if stated else AUTO_LOSS

    @property
    def label(self) -> str:
        """The spelling, followed by all other settings that differ from defaults."""
        shown = {**self.settings, **({"seed": self.seed} if self.seed else {})}
        judged = shown.pop("confidence", ())
        flags = [*(f"{_flag(k)}={v}" for k, v in shown.items()), *map(_confidence_flag, judged)]
        return " ".join([self.spelling, *flags])

    @property
    def limit(self) -> Limit:
        """The parsed budget."""
        return spend_limit(self.budget)

    @property
    def identifier(self) -> str:
        """Twelve hexadecimal digits that identify the recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Parse a spelling; all other fields have their defaults."""
        plain, *searches = spelling.split(text, "@") or [""]
        if len(searches) > 2:
            raise UsageError(f"{text!r} has too many @", "write it MODEL@STRATEGY@SCORER")
        model, *parts = spelling.split(plain, "+") or [""]
        drafts = [found[1] for part in parts if (found := _DRAFT.fullmatch(part))]
        if len(drafts) > 1:
            raise UsageError(f"{text!r} has {len(drafts)} drafts", "keep one draft(MODEL)")
        return cls(
            model=spelling.unquoted(model),
            draft=spelling.unquoted(drafts[0]) if drafts else "self",
            approximate=tuple(part for part in parts if not _DRAFT.fullmatch(part)),
            search="".join(searches[:1]),
            scorer="".join(searches[1:]),
        )

    def to_json(self) -> str:
        """All fields as one line of JSON, keys sorted; search fields only if there is a search."""
        held = {k: v for k, v in asdict(self).items() if self.search or k not in _SEARCHING}
        held = {k: v for k, v in held.items() if v or k not in _SURE}
        held["temperature"] = self.warmth
        return json.dumps(held, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Parse the JSON of `to_json`; missing fields have their defaults."""
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadParameterError(
                f"a recipe is not JSON: {error}", "see: Recipe.to_json"
            ) from None
        if not isinstance(found, dict):
            raise BadParameterError("a recipe is not a JSON object", "see: Recipe.to_json")
        known = [item.name for item in fields(cls)]
        for name in found:
            if name not in known:
                raise UnknownNameError.among("field of a recipe", name, known)
        return cls(**{name: _tupled(value) for name, value in found.items()})

    def _check_kinds(self) -> None:
        for item in fields(self):
            kind = float if item.default is None else type(item.default)
            value = self.warmth if item.default is None else getattr(self, item.name)
            if kind is tuple:
                right = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
            else:  # limits check numbers
                right = isinstance(value, kind) or kind in (int, float)
            if not right:
                wanted = "a tuple of texts" if kind is tuple else f"of type {kind.__name__}"
                raise BadParameterError(f"{item.name} {value!r} must be {wanted}")

    def _normalise(self) -> None:
        """Normalise the fields, so that equivalent recipes are equal and hash alike."""
        if self.automatic and len(self.approximate) > 1:
            raise UsageError(
                "auto chooses all methods of a recipe", "leave out the others, or auto"
            )
        if self.scorer.strip() and not self.search.strip():
            raise UsageError("a scorer ranks candidates, and there is no search", "name one: -s")
        if self.abstain_below and not self.confidence:
            raise UsageError(
                f"answers below {self.abstain_below:g} are withheld, and no confidence is named",
                "name one, such as --confidence p-true; see: forethought list scorers",
            )
        if self.confidence and self.samples > 1:
            raise UsageError(
                f"a confidence method judges one answer, and {self.samples} are sampled",
                f"choose among them: -s 'majority-vote(n={self.samples})'",
            )
        if self.search.strip() and self.samples > 1:
            raise UsageError("a search draws its own samples", "give its n, and no --samples")
        write = _auto_spelled if self.automatic else _spelled
        methods = tuple(map(write, self.approximate))
        settled = {
            "draft": "self" if self.draft == self.model else self.draft,
            "approximate": methods,
            "temperature": None if self.temperature is None else float(self.temperature),
            "top_p": float(self.top_p),
            "min_p": float(self.min_p),
            "budget": "".join(self.budget.split()),
            "search": _spelled(self.search, "strategies") if self.search.strip() else "",
            "scorer": _spelled(self.scorer, "scorers") if self.scorer.strip() else "",
            "confidence": tuple(_spelled(one, "scorers") for one in self.confidence),
            "abstain_below": float(self.abstain_below),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)


def is_auto(text: str) -> bool:
    """Whether a method's spelling is `auto`, with or without a loss."""
    return text.strip().lower().partition("(")[0].rstrip() == AUTO


def is_remote(model: str) -> bool:
    """Whether `model` is the address of a server."""
    return model.startswith(("http://", "https://"))


def _spelled(text: str, kind: catalogue.Kind = "methods") -> str:
    return catalogue.spelled(catalogue.build(text, kind))


def _auto_spelled(text: str) -> str:
    settings = spelling.parse(text.lower()).settings
    for name in settings:
        if name != "loss":
            raise UnknownNameError.among("parameter of auto", name, ["loss"])
    loss = settings.get("loss", AUTO_LOSS)
    if problem := Range(0, 1).problem(loss):
        raise BadParameterError(
            f"the loss {loss!r} of auto {problem}", "for example: -x 'auto(loss=0.05)'"
        )
    return str(spelling.Call(AUTO, {} if loss == AUTO_LOSS else {"loss": float(loss)}))


def _default_temperature(search: str) -> float:
    return WARM if search.strip() else 0.0


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _confidence_flag(method: str) -> str:
    return f"{_flag('confidence')}={method}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
