"""From the fields of a request to its recipe."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from forethought import catalogue
from forethought.contracts import spelling
from forethought.contracts.errors import BadParameterError, ForethoughtError, UsageError
from forethought.contracts.records import Event
from forethought.recipes.recipe import Recipe, is_auto, is_remote
from forethought.recipes.validation import check_search
from forethought.server.allowed_names import AllowedNames
from forethought.server.errors import ApiError, as_api_error
from forethought.server.schemas.common import MethodFields, SamplingFields
from forethought.server.settings import ServerSettings
from forethought.sessions.spend import spending

_EXACT = "exact"
_DRAFT = ("draft(", "draft (")
_LONGEST = 4096
_OWN_TEMPERATURE = 1.0
"""The default temperature of a plain answer, as with OpenAI and vLLM."""


@dataclass(frozen=True)
class RecipeReader:
    """Reads the recipes of requests, within the settings of the server."""

    settings: ServerSettings

    def recipe(self, asked: MethodFields) -> Recipe:
        """The recipe that the fields name; raises ApiError."""
        try:
            with _of_field("model"):
                return self._recipe(asked)
        except ApiError as error:
            raise error.shown(self.settings.public_text) from error

    def may_run_exact(self, asked: MethodFields) -> bool:
        """Whether the methods are the server's default, which not every prompt has room for."""
        default = self.settings.recipe
        named = (None, default.model, _public(self.settings, default.model))
        return asked.model in named and asked.approximate is None

    def remarks(self, asked: MethodFields, recipe: Recipe) -> tuple[str, ...]:
        """Notes for the run of a request that names less than its recipe does."""
        named = self._named(asked.model).search if asked.search is None else asked.search
        if asked.confidence is None or named:
            return ()
        return (f"confidence without a search: {recipe.search} samples until its answers agree",)

    def public_event(self, done: Event) -> Event:
        """The event `done` with the public names of models in its recipe."""
        run = done.data["run"]
        spelled = self.settings.public_text(str(run["recipe"]))
        return Event("done", {**done.data, "run": {**run, "recipe": spelled}})

    def sampled(self, asked: SamplingFields, *, samples: int, max_tokens: int) -> Recipe:
        """The recipe with the sampling fields of a request; raises ApiError."""
        base = self.recipe(asked)
        try:
            with _of_field(None):
                if asked.spend and asked.temperature == 0:
                    raise UsageError(
                        "spend samples answers, which are all equal at temperature 0",
                        "leave out temperature",
                    )
                found = _sampled(self._bounded(base), asked, samples, max_tokens)
            with _of_field(_searching(asked)):
                check_search(found)
        except ApiError as error:
            raise error.shown(self.settings.public_text) from error
        return found

    @cached_property
    def _allowed(self) -> AllowedNames:
        return AllowedNames(allowed_names(self.settings), self.settings.max_choices)

    def _recipe(self, asked: MethodFields) -> Recipe:
        found = self._named(asked.model)
        if asked.approximate is not None:
            with _of_field("approximate"):
                found = replace(found, approximate=self._methods(asked.approximate))
                _check_built(found.approximate)
        if asked.draft is not None:
            with _of_field("draft"):
                found = replace(found, draft=self._model(asked.draft, "draft"))
        if asked.search is not None:
            with _of_field("search"):
                found = replace(found, **self._search(asked.search))
        if asked.scorer is not None:
            with _of_field("scorer"):
                if asked.scorer:
                    self._allowed.check(asked.scorer, "scorers")
                found = replace(found, scorer=asked.scorer)
        found = _spending(found, asked)
        if asked.confidence is not None:
            with _of_field("confidence"):
                found = replace(found, search=_until_sure(found.search, asked.confidence))
        if asked.confidence_by is not None:
            with _of_field("confidence_by"):
                found = replace(found, **self._sure(asked.confidence_by))
        if asked.abstain_below is not None:
            with _of_field("abstain_below"):
                found = replace(found, abstain_below=asked.abstain_below)
        if asked.budget is not None:
            with _of_field("budget"):
                found = replace(found, budget=asked.budget)
        return found if asked.draft is not None else _without_idle_draft(found)

    def _named(self, text: str | None) -> Recipe:
        """The default recipe, or the one that a model's name spells."""
        default = self.settings.recipe
        if text is None or text in (default.model, _public(self.settings, default.model)):
            return default
        if text in self.settings.served:
            return Recipe(model=self.settings.served[text], draft=default.draft)
        if len(text) > _LONGEST:
            raise UsageError(f"the model's name has {len(text):,} characters", "shorten it")
        return self._spelled(text)

    def _spelled(self, text: str) -> Recipe:
        plain, *searches = spelling.split(text, "@") or [""]
        if len(searches) > 2:
            raise UsageError(f"{text!r} has too many @", "write it MODEL@STRATEGY@SCORER")
        model, *parts = spelling.split(plain, "+") or [""]
        drafts = [part for part in parts if part.startswith(_DRAFT)]
        methods = [part for part in parts if part not in drafts]
        if len(drafts) > 1:
            raise UsageError(f"{text!r} has {len(drafts)} drafts", "keep one draft(MODEL)")
        for kind, given in zip(("strategies", "scorers"), searches, strict=False):
            self._allowed.check(given, kind)  # type: ignore[arg-type]
        drafted = [part.partition("(")[2].rpartition(")")[0] for part in drafts]
        default = self.settings.recipe.draft
        return Recipe(
            model=self._model(spelling.unquoted(model), "model"),
            draft=self._model(spelling.unquoted(drafted[0]), "draft") if drafted else default,
            approximate=self._methods(methods),
            search="".join(searches[:1]),
            scorer="".join(searches[1:]),
        )

    def _model(self, name: str, field: str) -> str:
        """Our own name of a served model; raises ApiError, status 404, for any other."""
        served = self.settings.served
        if field == "draft" and name == "self":
            return name
        if name in served.values():
            return name
        if name not in served:
            near = difflib.get_close_matches(name[:100], served, n=1)
            known = f"did you mean {near[0]}?" if near else f"served: {', '.join(served)}"
            shown = name if len(name) <= 100 else f"{name[:100]}..."
            code = "model_not_found"
            raise ApiError(404, f"no model {shown!r} is served", known, param=field, code=code)
        return served[name]

    def _methods(self, given: str | Sequence[str]) -> tuple[str, ...]:
        texts = [given] if isinstance(given, str) else given
        methods = [one for text in texts for one in spelling.split(text, "+")]
        methods = [one for one in methods if one.strip().lower() != _EXACT]
        if len(methods) > 16:
            raise UsageError(f"the request names {len(methods)} methods", "name 16 at most")
        for one in methods:
            self._allowed.check(one)
        return tuple(methods)

    def _sure(self, given: str | Sequence[str]) -> dict[str, Any]:
        """The confidence methods; without any, nothing is withheld."""
        texts = [one for one in ([given] if isinstance(given, str) else given) if one.strip()]
        for one in texts:
            self._allowed.check(one, "scorers")
        return {"confidence": tuple(texts), **({} if texts else {"abstain_below": 0.0})}

    def _search(self, text: str) -> dict[str, Any]:
        """The strategy, and the scorer if the text names one behind an @."""
        strategy, *scorers = spelling.split(text, "@") or [""]
        if len(scorers) > 1:
            raise UsageError(f"{text!r} has too many @", "write it STRATEGY@SCORER")
        if strategy:
            self._allowed.check(strategy, "strategies")
        for one in scorers:
            self._allowed.check(one, "scorers")
        # A search that is taken away takes its scorer with it.
        found = {} if strategy else {"scorer": ""}
        return {"search": strategy, **found, **({"scorer": scorers[0]} if scorers else {})}

    def _bounded(self, recipe: Recipe) -> Recipe:
        """The recipe with the server's token limit as a search's budget, if it states none."""
        if recipe.plain or recipe.limit.tokens is not None:
            return recipe
        parts = [part for part in (recipe.budget, f"{self.settings.max_total_tokens}tok") if part]
        return replace(recipe, budget=",".join(parts))


@contextmanager
def _of_field(name: str | None) -> Iterator[None]:
    """Errors inside become ApiErrors of a field."""
    try:
        yield
    except ForethoughtError as error:
        raise as_api_error(error, name) from error


def _searching(asked: MethodFields) -> str:
    """The field that a search without a scorer or a draft, or an idle scorer, comes from."""
    stated = (name for name in ("scorer", "search", "confidence") if getattr(asked, name))
    return next(stated, "model")


def _check_built(methods: Sequence[str]) -> None:
    """Raise BadParameterError for a wrong parameter of a method."""
    for one in methods:
        if not is_auto(one):
            catalogue.build(one)


def allowed_names(settings: ServerSettings) -> frozenset[str]:
    """All resources that the operator has named: models, and parameters of the default recipe."""
    recipe = settings.recipe
    spelled = [*recipe.approximate, recipe.search, recipe.scorer, *recipe.confidence]
    calls = [spelling.parse(text) for text in spelled if text and not is_auto(text)]
    values = (value for call in calls for value in call.settings.values())
    stated = {value for value in values if isinstance(value, str)}
    models = {*settings.served, *settings.served.values()}
    return frozenset({*models, *settings.allowed, *stated})


def _public(settings: ServerSettings, model: str) -> str:
    return next((public for public, name in settings.served.items() if name == model), model)


def _without_idle_draft(recipe: Recipe) -> Recipe:
    """The recipe without the server's draft if nothing in it runs a draft.

    For a model on another server, the draft counts the tokens of any method.
    """
    counts = is_remote(recipe.model) and bool(recipe.approximate)
    used = recipe.automatic or recipe.drafts_answers or counts
    used = used or any(catalogue.build(one).uses_draft() for one in recipe.approximate)
    return recipe if used else replace(recipe, draft="self")


def _spending(recipe: Recipe, asked: MethodFields) -> Recipe:
    """The recipe that samples while a further answer pays, if the request asks for that."""
    if not (asked.spend or asked.value or asked.penalty):
        return recipe
    with _of_field("spend"):
        if not asked.spend:
            raise UsageError("value and penalty are the stakes of spend", "add spend=auto")
        return spending(recipe, asked.spend, value=asked.value or "", penalty=asked.penalty)


def _until_sure(search: str, confidence: float) -> str:
    """The search, which stops once its answers agree this much."""
    if not search:
        return f"adaptive(enough={confidence})"
    call = spelling.parse(search)
    entry = catalogue.find(call.name, "strategies")
    if not any(parameter.name == "enough" for parameter in entry.parameters):
        raise BadParameterError(
            f"{entry.name} does not stop at a confidence",
            "use search=adaptive, best-of-n, sequential-revision or tree-refine",
        )
    return str(spelling.Call(call.name, {**call.settings, "enough": confidence}))


def _sampled(base: Recipe, asked: SamplingFields, samples: int, max_tokens: int) -> Recipe:
    temperature = asked.temperature
    if temperature is None and not base.search:
        stated = base.temperature
        temperature = _OWN_TEMPERATURE if stated is None else stated
    if not base.plain and samples > 1:
        chooses = f"the search {base.search}" if base.search else "a run with a confidence method"
        raise BadParameterError(
            f"n={samples}, and {chooses} returns one answer",
            "leave out n, or the search; a search's own n is a parameter of it",
        )
    given: dict[str, Any] = {
        "temperature": temperature,
        "top_p": asked.top_p,
        "top_k": None if asked.top_k is None else max(0, asked.top_k),
        "min_p": asked.min_p,
        "stop": asked.stops or None,
        "keep_stop": asked.include_stop_str_in_output,
        "seed": _seed(asked.seed, temperature),
        "samples": samples,
        "max_tokens": max_tokens,
    }
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _seed(stated: int | None, temperature: float | None) -> int:
    """The seed; a random one if none is stated and the answer is sampled."""
    if stated is not None:
        return stated % (1 << 63)
    return 0 if temperature == 0 else secrets.randbits(62)
