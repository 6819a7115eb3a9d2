"""Chat templates: programs of strangers, run in a sandbox and within a budget.

Before a template is compiled, costs are written into it: whatever reads, writes, calls or
repeats something spends first (see template_budget).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any, NoReturn, cast

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import make_attrgetter
from jinja2.parser import Parser
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Cycler, Joiner, Namespace, pass_environment

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.chat.template_budget import OverBudgetError, TemplateBudget, spending
from forethought.models.chat.template_costs import (
    FILTER_CHARGES,
    FREE_FILTERS,
    FREE_TESTS,
    METHOD_CHARGES,
    METHODS,
    REFUSED_FILTERS,
    Charge,
    charge_operation,
    paid_texts,
)
from forethought.models.chat.template_prices import PRICES, Priced

LONGEST_TEMPLATE, MOST_NODES = 100_000, 30_000
"""Characters and parts of a template; those of published models have up to 30,000 and 1,500."""

_FAILURES = (
    *(TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError),
    *(NameError, RuntimeError, SyntaxError, TypeError, ValueError),
)
"""What a template may raise while it is compiled or run."""
_SHOWN = 300  # characters of an error's text
_LONGEST_DATE = 100  # characters of its form
_WIDEST_INDENT = 16


def written(
    template: str,
    messages: Sequence[tuple[str, str]],
    names: dict[str, str],
    *,
    asks: bool = True,
) -> str:
    """What the template makes of messages (role, content); an answer's start follows if it asks.

    `names` are the tokens bos and eos. Raises UnsupportedModelError where it refuses them,
    where it is no template, or where it takes more than such a conversation needs.
    """
    compiled = _compiled(template)
    listed = [{"role": role, "content": content} for role, content in messages]
    under_way = spending.set(TemplateBudget.of(listed))
    try:
        return compiled.render(
            messages=listed,
            add_generation_prompt=asks,
            bos_token=names["bos"],
            eos_token=names["eos"],
            tools=None,
            documents=None,
        )
    except OverBudgetError as error:
        raise UnsupportedModelError(
            f"the model's chat template asks for too much: {error}",
            "use another model, or one with another template",
        ) from error
    except _FAILURES as error:
        raise UnsupportedModelError(
            f"the model's chat template refuses this conversation: {_told(error)}",
            "leave out the system prompt, or use another model",
        ) from error
    finally:
        spending.reset(under_way)


def _told(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    hint = "use another model, or one with another template"
    if len(template) > LONGEST_TEMPLATE:
        size = f"{len(template):,} characters"
        raise UnsupportedModelError(f"the model's chat template is {size} long", hint)
    try:
        return _Environment().from_string(template)
    except _FAILURES as error:
        raise UnsupportedModelError(
            f"the model's chat template cannot be read: {_told(error)}", hint
        ) from error


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox of the library, in which everything is paid."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, _Generation],
            optimized=False,  # folding constants takes the cube of the depth of an expression
        )
        self.globals = {
            "cycler": Cycler,
            "dict": dict,
            "joiner": Joiner,
            "namespace": _Namespace,
            "raise_exception": _refuse,
            "range": safe_range,
            "strftime_now": _now,
        }
        self._callable = tuple(self.globals.values())
        paid = _all_paid({**self.filters, "join": _join, "tojson": _to_json}, FREE_FILTERS)
        kept = {name: call for name, call in paid.items() if name not in REFUSED_FILTERS}
        # The library declares functions, where it takes anything that can be called.
        self.filters = cast(Any, kept | PRICES)
        self.tests = cast(Any, _all_paid(cast(Any, self.tests), FREE_TESTS))

    def _generate(self, source: nodes.Template, *names: Any, **settings: Any) -> str:
        """The program of a template, with the costs in it."""
        if sum(1 for _ in source.find_all(nodes.Node)) > MOST_NODES:
            raise OverBudgetError(f"it has more than {MOST_NODES:,} parts")
        priced = Priced().visit(source)
        return super()._generate(priced.set_environment(self), *names, **settings)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A member; keys of several values are hashed through."""
        if isinstance(argument, tuple):
            spending.get().read(argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operation of arithmetic."""
        charge_operation(spending.get(), operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call of a macro, a method or a global function."""
        budget = spending.get()
        budget.enter()
        arguments = __self._paid_arguments(budget, __obj, args, kwargs)
        found = super().call(__context, __obj, *arguments, **kwargs)
        budget.leave()
        budget.made(found)
        return found

    def _paid_arguments(
        self, budget: TemplateBudget, called: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Check that it may be called, and spend what that takes."""
        budget.read(arguments, named)
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str | list | tuple | dict) and name in METHODS:
            budget.read(() if isinstance(owner, dict) else owner)
            if charge := METHOD_CHARGES.get(name):
                charge(budget, (owner, *arguments), named)
            if name == "join" and arguments:
                texts = paid_texts(budget, arguments[0], len(owner))
                return (list(texts), *arguments[1:])
        elif not self._may_be_called(called, owner):
            kind = type(owner or called).__name__
            raise SecurityError(f"it may not call {name[:_SHOWN] or 'this'} of a {kind}")
        return arguments

    def _may_be_called(self, called: Any, owner: Any) -> bool:
        ours = (Macro, LoopContext, Joiner, BlockReference, Undefined)
        return (
            isinstance(called, ours)
            or isinstance(owner, LoopContext | Cycler)
            or any(called is one for one in self._callable)
        )


def _all_paid(
    calls: Mapping[str, Callable[..., Any]], free: Collection[str]
) -> dict[str, Callable[..., Any]]:
    """Filters or tests of the library; `free` ones read nothing through."""
    return {
        name: _paid(call, FILTER_CHARGES.get(name), name in free) for name, call in calls.items()
    }


def _paid(call: Callable[..., Any], charge: Charge | None, free: bool) -> Callable[..., Any]:
    """A filter or test that spends what it reads, and what it makes."""

    @wraps(call)
    def paid(*arguments: Any, **named: Any) -> Any:
        budget = spending.get()
        # Some are given the environment or a context first.
        passed = arguments[1:] if hasattr(call, "jinja_pass_arg") else arguments
        if free:
            budget.spend(1)
        else:
            budget.read(passed, named)
        if charge is not None:
            charge(budget, passed, named)
        found = call(*arguments, **named)
        budget.made(found)
        return budget.each(found) if isinstance(found, Iterator) else found

    return paid


@pass_environment
def _join(
    environment: ImmutableSandboxedEnvironment, value: Any, d: Any = "", attribute: Any = None
) -> str:
    """The library's filter, each member paid before it becomes text."""
    members = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    between = str(d)
    return between.join(map(str, paid_texts(spending.get(), members, len(between))))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """A value as JSON, each part paid as it is written."""
    wide = len(indent) if isinstance(indent, str) else indent or 0
    if wide > _WIDEST_INDENT:
        raise OverBudgetError(f"it indents JSON by {wide:,} characters")
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    return "".join(paid_texts(spending.get(), encoder.iterencode(value), 0))


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    if len(form) > _LONGEST_DATE:
        raise OverBudgetError(f"it writes a date in {len(form):,} characters")
    return datetime.now().strftime(form)


class _Namespace(Namespace):
    """Values that a template may change; shown without them, as they may hold one another."""

    def __repr__(self) -> str:
        return "<namespace>"


class _Generation(Extension):
    """Lets `{% generation %}` blocks through; they only mark text for training."""

    tags = {"generation"}  # noqa: RUF012  (how the library declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The inside of the block, as if it stood alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
