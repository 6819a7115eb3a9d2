"""Sample while a further answer is expected to be worth its price; then answer, or abstain.

Paper: none; the objective is cost-of-pass (arXiv:2504.13359), the stop Adaptive-Consistency's idea
    (arXiv:2305.11860)
Published: ours (own name); a belief about the right answer, and the best plan by net value.
Exact: equals one plain sample at n=1, unless a right answer is worth less than its price.
Cost: as many answers as pay, at most n. Decisions cost milliseconds of numpy, and no tokens.
Example: forethought "A pen costs 3 dollars. What do 14 pens cost?" -s 'spend(n=8)'
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from forethought.contracts.errors import BadParameterError, BudgetSpentError
from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.records import Cost
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Search,
    Strategy,
    Writer,
    group,
    score,
    write,
)
from forethought.contracts.spending import (
    AnswerPrice,
    Decision,
    Quoted,
    Settlement,
    quote,
    tell,
)
from forethought.cost.budget import spend_limit
from forethought.methods.search._answers import budget_spent, leading
from forethought.numerics.votes import Tally

if TYPE_CHECKING:
    import numpy as np

    from forethought.beliefs.answers import AnswerBelief
    from forethought.beliefs.plans import Stakes, WayPrice

_GAIN = 1.0
"""Log-odds by which the target exceeds the draft, if neither rate is stated."""
_KEPT = 0.9
"""Probability that a shortened prompt keeps what an answer needs, if its rate is not stated."""
_MOST_KEPT = 0.98
"""The same if it is: never sure."""
_ACCEPTED = 0.5
"""Score from which a verifier accepts an answer."""
_NOT_WORTH = "no further answer is expected to be worth its price"


@dataclass(frozen=True)
class Spend(Strategy):
    """The answer that is most probably right, for as long as answers pay."""

    value: str = "60x"
    """Value of a right answer: 60x (times the price of the first answer), $0.01, 5TFLOP, 900tok."""
    penalty: Annotated[float, Range(0, 1000)] = 0.0
    """Loss for a wrong answer, as a share of `value`; above 0, the search may abstain."""
    n: Count = 32
    """Most answers."""
    draft: bool = False
    """Whether the model of -d may answer too."""
    verified: bool = False
    """Whether the scorer tells right answers from wrong ones; the first accepted one ends."""
    success: Share | None = None
    """Expected share of right answers of the target; none for a broad prior."""
    draft_success: Share | None = None
    """The same of the draft."""
    length: Count = 128
    """Expected tokens of an answer, until one is known."""
    shortened: bool = False
    """Whether the model may also answer from the prompt that -x shortens."""
    shortened_success: Share | None = None
    """Expected share of right answers from the shortened prompt."""

    def __post_init__(self) -> None:
        _worth(self.value)

    @property
    def needs(self) -> frozenset[Ability]:
        """A second model, if the draft answers too, and a second prompt."""
        shortened: frozenset[Ability] = frozenset({"shortened-prompt"} if self.shortened else ())
        return shortened | frozenset({"draft"} if self.draft else ())

    @property
    def scores(self) -> bool:
        """Whether a scorer verifies the answers."""
        return self.verified

    @property
    def may_abstain(self) -> bool:
        """Whether a wrong answer costs, or a verifier may refuse all answers."""
        return self.verified or self.penalty > 0

    @property
    def most_answers(self) -> int:
        """n: it stops early."""
        return self.n

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Decide, draw one answer, and decide again."""
        state = _Spending(self, [replace(start, writer=one) for one in self._writers])
        try:
            while not state.ended:
                decision = yield from state.decided()
                yield from tell(decision)
                if decision.chosen.action in ("stop", "abstain"):
                    break
                yield from state.drawn(decision.chosen.way)
        except BudgetSpentError:
            if not state.answers:
                raise
        return state.found()

    @property
    def _writers(self) -> tuple[Writer, ...]:
        shortened: tuple[Writer, ...] = ("shortened",) if self.shortened else ()
        return ("target", *shortened, *(("draft",) if self.draft else ()))

    def belief(self, writers: Sequence[Writer]) -> AnswerBelief:
        """The belief about these writers before any answer."""
        return _belief(
            tuple(writers), self.success, self.draft_success, self.shortened_success, self.draft
        )


@dataclass
class _Spending:
    """One question in progress."""

    rule: Spend
    ways: Sequence[Candidate]
    answers: list[Candidate] = field(default_factory=list)
    groups: list[int | None] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    accepted: bool = False
    cut: bool = False
    unit: str = ""
    value: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether an answer was accepted, or the budget is spent."""
        return self.accepted or self.cut

    def decided(self) -> Generator[Any, Any, Decision]:
        """The best action under the belief."""
        quoted = yield from quote(self.ways)
        if not self.unit:
            quoted = self._fitting(quoted)
            self._settle_unit(quoted)
        stakes = self._stakes(quoted)
        ranked = tuple(map(self._named, stakes.alternatives()))
        spent = _amount(quoted.spent, self.unit)
        told = stakes.document()
        decision = Decision(
            ranked[0], ranked, told, self.value, spent, self.unit, len(self.answers)
        )
        self.decisions.append(decision)
        return decision

    def drawn(self, way: str) -> Generator[Any, Any, None]:
        """Draw one answer, and group it with the others or have it verified."""
        parent = next(one for one in self.ways if one.writer == way)
        fresh = yield from write([parent])
        self.answers += fresh
        self.cut = budget_spent(fresh)
        self.groups = yield from group(self.answers)
        if self.rule.verified and fresh[0].whole:
            (told,) = yield from score(fresh)
            self.accepted = told >= _ACCEPTED

    def found(self) -> Found:
        """The result; without an answer if the last decision is to abstain."""
        settled = Settlement(tuple(self.decisions), self._abstained(), self._right())
        if not self.answers:
            return Found(self.ways[0], settlement=settled)
        tally = Tally.of(self.groups, [1.0] * len(self.answers))
        best = self._best()
        part = tally.part(best)
        answers = tuple(self.answers)
        return Found(answers[best], answers, tally.weights, part, settlement=settled)

    def _right(self) -> float:
        """The probability that the best answer is right."""
        from forethought.beliefs.answers import Seen, leading_chance

        if self.rule.verified:
            return float(self.accepted)
        seen = Seen.of(len(self.ways), self._places())
        return leading_chance(self._belief().right(seen))

    def _best(self) -> int:
        """The accepted answer, or the likeliest one of the group that is most probably right."""
        if self.accepted:
            return len(self.answers) - 1
        from forethought.beliefs.answers import Seen

        places = self._places()
        belief, seen = self._belief(), Seen.of(len(self.ways), places)
        chance = dict(zip(seen.groups, belief.right(seen), strict=False))
        own = [
            -1.0 if group is None else chance[_sizes(places, group, len(self.ways))]
            for _, group in places
        ]
        worth = [c + 1e-9 * one.likelihood for c, one in zip(own, self.answers, strict=True)]
        return leading(self.answers, worth)

    def _abstained(self) -> str:
        """Why no answer is given; empty if one is."""
        if self.accepted or not self.decisions:
            return ""
        if self.rule.verified and not self.accepted:
            return "no answer was accepted" if self.answers else _NOT_WORTH
        if self.decisions[-1].chosen.action != "abstain":
            return ""
        if not self.answers:
            return _NOT_WORTH
        right = self.decisions[-1].belief["right"]
        return f"the best answer is right with probability {right:.2f} only (not calibrated)"

    def _belief(self) -> AnswerBelief:
        return self.rule.belief([one.writer for one in self.ways])

    def _fitting(self, quoted: Quoted) -> Quoted:
        """Leave out the ways whose prompt exceeds the context, unless all do."""
        pairs = list(zip(self.ways, quoted.prices, strict=True))
        fit = [pair for pair in pairs if pair[1].fits] or pairs
        self.ways = [way for way, _ in fit]
        return quoted._replace(prices=tuple(price for _, price in fit))

    def _stakes(self, quoted: Quoted) -> Stakes:
        from forethought.beliefs.answers import Seen
        from forethought.beliefs.plans import Stakes

        return Stakes(
            self._belief(),
            Seen.of(len(self.ways), self._places()),
            self._prices(quoted),
            self.value,
            self.rule.penalty,
            self.rule.n - len(self.answers),
            self.rule.verified,
        )

    def _places(self) -> list[tuple[int, int | None]]:
        """The way and the group of each answer."""
        writers = [one.writer for one in self.ways]
        ways = [writers.index(one.writer) for one in self.answers]
        return list(zip(ways, self.groups, strict=True))

    def _prices(self, quoted: Quoted) -> list[WayPrice]:
        from forethought.beliefs.plans import WayPrice

        return [
            WayPrice(one.writer, _amount(price.once, self.unit), self._each(one.writer, price))
            for one, price in zip(self.ways, quoted.prices, strict=True)
        ]

    def _each(self, writer: str, price: AnswerPrice) -> float:
        """The expected price of an answer's tokens."""
        own = [one.tokens for one in self.answers if one.writer == writer]
        known = own or [one.tokens for one in self.answers]
        tokens = sum(known) / len(known) if known else self.rule.length
        return tokens * _amount(price.token, self.unit)

    def _settle_unit(self, quoted: Quoted) -> None:
        """Fix the value and its unit; `60x` takes the first unit that prices the first answer."""
        first = quoted.prices[0]
        times, kinds = _worth(self.rule.value)
        if kinds == ("usd",) and first.token.usd is None:
            raise BadParameterError(
                f"spend: value={self.rule.value!r} is money, but tokens have no price here",
                "write the value like 60x, 5TFLOP or 900tok, or state a server's --price",
            )
        self.unit = next(kind for kind in kinds if kind == kinds[-1] or _amount(first.token, kind))
        price = _amount(first.once, self.unit) + self._each(self.ways[0].writer, first)
        self.value = times * price if len(kinds) > 1 else times

    def _named(self, one: Any) -> Any:
        """A sample of another way than the last answer's is a switch."""
        last = self.answers[-1].writer if self.answers else one.way
        return replace(one, action="switch") if one.way and one.way != last else one


def _sizes(places: Sequence[tuple[int, int | None]], group: int, ways: int) -> tuple[int, ...]:
    return tuple(sum(one == (way, group) for one in places) for way in range(ways))


def _amount(cost: Cost, unit: str) -> float:
    """A cost in one unit; tokens are those of answers."""
    if unit == "tokens":
        return float(cost.output_tokens + cost.draft_tokens)
    return float((cost.usd if unit == "usd" else cost.flops) or 0.0)


def _worth(value: str) -> tuple[float, tuple[str, ...]]:
    """The amount of a value, and its unit; all units for a multiple of the first answer's price."""
    text = value.strip().lower()
    try:
        if text.endswith("x"):
            times = float(text[:-1])
            if 0 < times < float("inf"):
                return times, ("usd", "flops", "tokens")
        else:
            dollars = f"${text}" if text.replace(".", "", 1).isdecimal() else value
            limit = spend_limit(dollars)
            (kind,) = limit.kinds - {"seconds"}
            return float(getattr(limit, kind)), (kind,)
    except (ValueError, BadParameterError):
        pass
    raise BadParameterError(
        f"spend: value={value!r} is no value of a right answer",
        "write it like 60x (times the first answer's price), $0.01, 5TFLOP or 900tok",
    )


@lru_cache(64)
def _belief(
    writers: tuple[Writer, ...],
    success: float | None,
    draft_success: float | None,
    shortened_success: float | None,
    draft: bool,
) -> AnswerBelief:
    """The belief about these writers; rates that are not stated follow from the others."""
    from forethought.beliefs.answers import AnswerBelief, broad_law, law_of_mean, shifted_mean
    from forethought.beliefs.worlds import rates

    if success is None and draft:
        success = shifted_mean(draft_success or float(broad_law() @ rates()), _GAIN)
    means = {"target": success, "draft": draft_success, "shortened": shortened_success}
    known = (means[one] for one in writers)
    laws = tuple(broad_law() if mean is None else law_of_mean(mean) for mean in known)
    if writers[:2] != ("target", "shortened"):
        return AnswerBelief(laws)
    whole = float(laws[0] @ rates())
    kept = min(_MOST_KEPT, shortened_success / whole) if shortened_success else _KEPT
    return AnswerBelief(laws, kept)
