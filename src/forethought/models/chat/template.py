"""Renders chat templates: untrusted programs, run in a sandbox with a budget.

Before compilation, costs are inserted into the template: each read, write, call and loop iteration
spends from the budget first (see template_budget).
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

from forethought.contracts.errors import ConversationRefusedError, UnsupportedModelError
from forethought.models.chat.template_budget import OverBudgetError, TemplateBudget, current_budget
from forethought.models.chat.template_costs import (
    FILTER_CHARGES,
    FREE_FILTERS,
    FREE_TESTS,
    METHOD_CHARGES,
    METHODS,
    REFUSED_FILTERS,
    Charge,
    charge_operation,
    charged_texts,
)
from forethought.models.chat.template_prices import COST_FILTERS, CostInserter

LONGEST_TEMPLATE, MOST_NODES = 100_000, 30_000
"""Limits on a template's characters and syntax nodes; published ones reach 30,000 and 1,500."""

_FAILURES = (
    *(TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError),
    *(NameError, RuntimeError, SyntaxError, TypeError, ValueError),
)
"""Exceptions that a template may raise during compilation or rendering."""
_SHOWN = 300  # characters of an error's text
_LONGEST_DATE = 100  # characters of a date format
_WIDEST_INDENT = 16


def render_chat(
    template: str,
    messages: Sequence[tuple[str, str]],
    names: dict[str, str],
    *,
    asks: bool = True,
    thinking: bool | None = None,
) -> str:
    """Render messages (role, content); see `render_messages`."""
    listed = [{"role": role, "content": content} for role, content in messages]
    settings = {} if thinking is None else {"enable_thinking": thinking, "thinking": thinking}
    return render_messages(template, listed, names, asks=asks, settings=settings)


def render_messages(
    template: str,
    messages: Sequence[dict[str, Any]],
    names: dict[str, str],
    *,
    asks: bool = True,
    tools: Sequence[dict[str, Any]] = (),
    settings: Mapping[str, bool] | None = None,
) -> str:
    """Render messages in the form that templates expect; `asks` appends the start of an answer.

    `names` are the tokens bos and eos, and `settings` are variables such as `enable_thinking`.
    Raises UnsupportedModelError if the template is invalid or exceeds its budget, and
    ConversationRefusedError if it refuses the messages.
    """
    compiled = _compiled(template)
    token = current_budget.set(TemplateBudget.of([messages, tools] if tools else messages))
    try:
        return compiled.render(
            messages=messages,
            add_generation_prompt=asks,
            bos_token=names["bos"],
            eos_token=names["eos"],
            tools=tools or None,
            documents=None,
            **(settings or {}),
        )
    except OverBudgetError as error:
        raise UnsupportedModelError(
            f"the model's chat template exceeds its budget: {error}",
            "use another model, or one with another template",
        ) from error
    except _FAILURES as error:
        raise ConversationRefusedError(
            f"the model's chat template refuses this conversation: {_shown_error(error)}",
            "leave out the system prompt, order the messages as the template asks, or use another "
            "model",
        ) from error
    finally:
        current_budget.reset(token)


def _shown_error(error: BaseException) -> str:
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
            f"the model's chat template cannot be read: {_shown_error(error)}", hint
        ) from error


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with every operation charged to the budget."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, _Generation],
            optimized=False,  # constant folding takes cubic time in an expression's depth
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
        paid = _all_charged({**self.filters, "join": _join, "tojson": _to_json}, FREE_FILTERS)
        kept = {name: call for name, call in paid.items() if name not in REFUSED_FILTERS}
        # The library's type stubs ask for functions, but any callable works.
        self.filters = cast(Any, kept | COST_FILTERS)
        self.tests = cast(Any, _all_charged(cast(Any, self.tests), FREE_TESTS))

    def _generate(self, source: nodes.Template, *names: Any, **settings: Any) -> str:
        """Compile a template with costs inserted."""
        if sum(1 for _ in source.find_all(nodes.Node)) > MOST_NODES:
            raise OverBudgetError(f"it has more than {MOST_NODES:,} parts")
        charged = CostInserter().visit(source)
        return super()._generate(charged.set_environment(self), *names, **settings)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A member; a tuple as key is charged because it is hashed."""
        if isinstance(argument, tuple):
            current_budget.get().read(argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operation."""
        charge_operation(current_budget.get(), operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call of a macro, a method or a global function."""
        budget = current_budget.get()
        budget.enter()
        arguments = __self._charge_arguments(budget, __obj, args, kwargs)
        found = super().call(__context, __obj, *arguments, **kwargs)
        budget.leave()
        budget.made(found)
        return found

    def _charge_arguments(
        self, budget: TemplateBudget, called: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Check that the call is allowed, and charge it."""
        budget.read(arguments, named)
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str | list | tuple | dict) and name in METHODS:
            budget.read(() if isinstance(owner, dict) else owner)
            if charge := METHOD_CHARGES.get(name):
                charge(budget, (owner, *arguments), named)
            if name == "join" and arguments:
                texts = charged_texts(budget, arguments[0], len(owner))
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


def _all_charged(
    calls: Mapping[str, Callable[..., Any]], free: Collection[str]
) -> dict[str, Callable[..., Any]]:
    """Charged versions of the library's filters or tests; those in `free` take constant time."""
    return {
        name: _charged(call, FILTER_CHARGES.get(name), name in free) for name, call in calls.items()
    }


def _charged(call: Callable[..., Any], charge: Charge | None, free: bool) -> Callable[..., Any]:
    """A filter or test that is charged for its input and its output."""

    @wraps(call)
    def paid(*arguments: Any, **named: Any) -> Any:
        budget = current_budget.get()
        # Some filters take the environment or a context as first argument.
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
    """Jinja's join filter, with each member charged before it becomes text."""
    members = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    between = str(d)
    return between.join(map(str, charged_texts(current_budget.get(), members, len(between))))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """A value as JSON, with each part charged as it is written."""
    wide = len(indent) if isinstance(indent, str) else indent or 0
    if wide > _WIDEST_INDENT:
        raise OverBudgetError(f"it indents JSON by {wide:,} characters")
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    return "".join(charged_texts(current_budget.get(), encoder.iterencode(value), 0))


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    if len(form) > _LONGEST_DATE:
        raise OverBudgetError(f"it writes a date in {len(form):,} characters")
    return datetime.now().strftime(form)


class _Namespace(Namespace):
    """Jinja's namespace without its contents in `repr`, since namespaces may hold each other."""

    def __repr__(self) -> str:
        return "<namespace>"


class _Generation(Extension):
    """Accepts `{% generation %}` blocks, which only mark text for training."""

    tags = {"generation"}  # noqa: RUF012  (how the library declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The block's body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
