"""A toy back end with known probabilities, to check searches against exact distributions.

Tokens are strings; a function of the text gives the probability of each next token. Time is
simulated: each token takes a number of seconds, and requests finish in that order.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from forethought.contracts.backend import (
    CostBound,
    Request,
    RequestOutcome,
    VerdictRequest,
)
from forethought.contracts.records import Cost, LimitKind
from forethought.contracts.search import (
    Ability,
    Candidate,
    NextToken,
    Piece,
    ProbeOutput,
    Writer,
)

END = ""
"""The end token."""
Law = Callable[[str, str], Mapping[str, float]]
"""(question, text so far) to the probability of each next token."""
Opinion = Callable[[str, tuple[str, ...]], tuple[float, ...]]
"""(question, choices) to the probability of each choice."""
Delay = Callable[[str], float]
"""A request's key to the seconds of each of its tokens."""


def sequences(law: Law, question: str = "") -> dict[str, float]:
    """The probability of every whole answer; the law must be finite."""
    return dict(_ends(law, question, "", 1.0))


def _ends(law: Law, question: str, text: str, chance: float) -> Iterator[tuple[str, float]]:
    for token, share in law(question, text).items():
        if token == END:
            yield text, chance * share
        else:
            yield from _ends(law, question, text + token, chance * share)


@dataclass
class KnownBackend:
    """A `Backend` that samples from a known distribution."""

    law: Law
    opinion: Opinion = lambda question, choices: (1 / len(choices),) * len(choices)
    delay: Delay = lambda key: 1.0
    abilities: frozenset[Ability] = frozenset(
        {
            "steps",
            "log-probabilities",
            "certainty",
            "token-confidence",
            "verdicts",
            "next-tokens",
        }
    )
    verdict_flops: float = 0.0
    """FLOPs of one verdict."""
    next_token_flops: float = 0.0
    """FLOPs of the top next tokens of a prefix, for the first request that asks."""
    failures: Mapping[str, Exception] = field(default_factory=dict)
    """Requests that fail, by key."""
    drafted: Law | None = None
    """The law of a draft model; its tokens cost a tenth."""
    shortened: Law | None = None
    """The law behind a shortened prompt."""
    prefill: Mapping[Writer, float] = field(default_factory=dict)
    """FLOPs of a writer's prompt, for the first request that continues it."""
    too_long: frozenset[Writer] = frozenset()
    """Writers whose prompt does not fit their context."""
    probe: Callable[[str], tuple[ProbeOutput, ...]] = lambda text: ()
    """The outputs of probes for a text; the empty text is the end of the prompt."""
    asked: list[str] = field(default_factory=list)
    """Keys of all submitted requests, in order."""
    clock: float = 0.0
    _waiting: list[tuple[float, int, RequestOutcome, Request | VerdictRequest]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        if self.drafted:
            self.abilities |= {"draft"}
        if self.shortened:
            self.abilities |= {"shortened-prompt"}

    def submit(self, request: Request | VerdictRequest) -> None:
        """Start a request."""
        self.asked.append(request.key)
        outcome = self._outcome(request)
        written = outcome.cost.output_tokens + outcome.cost.draft_tokens
        seconds = self.delay(request.key) * max(1, written)
        ended = (self.clock + seconds, len(self.asked), outcome, request)
        heapq.heappush(self._waiting, ended)

    def poll(self, until: float | None = None) -> list[RequestOutcome]:
        """Advance the clock to the end of the next request, or to `until`."""
        if until is not None and (not self._waiting or self._waiting[0][0] > until):
            self.clock = max(self.clock, until)
            return []
        found: list[RequestOutcome] = []
        self.clock = max(self.clock, self._waiting[0][0])
        while self._waiting and self._waiting[0][0] <= self.clock:
            found.append(heapq.heappop(self._waiting)[2])
        return found

    def now(self) -> float:
        """The simulated time."""
        return self.clock

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Accept all limits."""

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """One FLOP and a millionth of a dollar for each token."""
        return [self._bound(request) for request in requests]

    def _bound(self, request: Request | VerdictRequest) -> CostBound:
        match request:
            case VerdictRequest():
                return CostBound(Cost(flops=self.verdict_flops * len(request.questions)))
        opens = self._prefill_cost(request)
        fits = request.parent.writer not in self.too_long
        if request.adopted is not None:
            tokens = request.adopted.lengths[-1]
            return CostBound(_adoption_cost(request, tokens).plus(opens), fits=fits)
        once = self._next_token_cost(request).plus(opens)
        return CostBound(once, _cost(request, 1), fits=fits)

    def _prefill_cost(self, request: Request) -> Cost:
        opens = request.first and not request.parent.tokens
        return Cost(flops=self.prefill.get(request.parent.writer, 0.0)) if opens else Cost()

    def _next_token_cost(self, request: Request) -> Cost:
        return Cost(flops=self.next_token_flops) if request.top and request.first else Cost()

    def cancel(self, key: str) -> None:
        """End a request with the tokens decoded so far."""
        for at, (end, number, outcome, request) in enumerate(self._waiting):
            if request.key == key and end > self.clock:
                self._waiting[at] = (self.clock, number, self._cut(request, outcome, end), request)
                heapq.heapify(self._waiting)
                return

    def release(self, run: str) -> None:
        """Do nothing: no run has cache entries."""

    def _cut(
        self, request: Request | VerdictRequest, outcome: RequestOutcome, end: float
    ) -> RequestOutcome:
        piece = outcome.piece
        if piece is None or not isinstance(request, Request):
            return outcome
        left = math.ceil((end - self.clock) / self.delay(outcome.key))
        tokens = max(0, piece.tokens - left)
        cost = _cost(request, tokens)
        # Tokens differ in length, so the text cannot be cut by tokens. The decoded tokens are
        # charged, and the text is dropped.
        return replace(outcome, piece=Piece("", (), tokens, 0.0, "cancelled"), cost=cost)

    def _outcome(self, request: Request | VerdictRequest) -> RequestOutcome:
        if error := self.failures.get(request.key):
            return RequestOutcome(request.key, Cost(), error=error)
        match request:
            case VerdictRequest():
                chances = tuple(self.opinion(text, request.choices) for text in request.questions)
                flops = self.verdict_flops * len(chances)
                cost = Cost(scoring_tokens=len(chances), flops=flops)
                return RequestOutcome(request.key, cost, chances=chances)
        if request.top:
            found = likeliest(self._law(request)(asked(request), request.parent.text), request.top)
            probed = () if request.parent.tokens else self.probe("")
            cost = self._next_token_cost(request)
            return RequestOutcome(request.key, cost, following=found, probed=probed)
        if request.adopted is not None:
            return self._adoption(request, request.adopted)
        piece = self._written(request)
        cost = _cost(request, piece.tokens).plus(self._prefill_cost(request))
        return RequestOutcome(request.key, cost, piece=piece)

    def _law(self, request: Request) -> Law:
        own = {"draft": self.drafted, "shortened": self.shortened}.get(request.parent.writer)
        return own or self.law

    def _adoption(self, request: Request, step: Candidate) -> RequestOutcome:
        text, tokens = step.steps[-1], step.lengths[-1]
        piece = Piece(text, (), tokens, 0.0, step.finish or "step")
        cost = _adoption_cost(request, tokens).plus(self._prefill_cost(request))
        return RequestOutcome(request.key, cost, piece=piece)

    def _written(self, request: Request) -> Piece:
        parent, text, tokens, chance = request.parent, request.parent.text, 0, 0.0
        sure, finish, confidences = 0.0, "length", list[float]()
        while tokens < request.max_tokens:
            law = self._law(request)(asked(request), text)
            place = [request.seed, request.stream, parent.tokens + tokens]
            given = None if tokens else request.token
            token = drawn(law, request.temperature, place) if given is None else text_of(given)
            chance += math.log(law[token])
            confidences.append(confidence(law))
            if token == END:
                finish = "stop"
                break
            text, tokens, sure = text + token, tokens + 1, sure + certainty(law)
            if request.until == "step" and request.delimiter in text[len(parent.text) :]:
                finish = "step"
                break
        scored_tokens = tokens + (finish == "stop")
        found = Piece(text[len(parent.text) :], (), tokens, chance, finish, "", sure, scored_tokens)
        told = tuple(confidences) if request.confident else None
        return replace(found, token_confidences=told, probed=self.probe(text))


def certainty(law: Mapping[str, float]) -> float:
    """KL divergence from the uniform distribution over possible tokens to the law, in nats."""
    chances = [chance for chance in law.values() if chance]
    return -math.fsum(math.log(len(chances) * chance) for chance in chances) / len(chances)


def confidence(law: Mapping[str, float]) -> float:
    """The mean negative log-probability of the 20 likeliest possible tokens."""
    best = sorted((chance for chance in law.values() if chance), reverse=True)[:20]
    return -math.fsum(map(math.log, best)) / len(best)


def _cost(request: Request, tokens: int) -> Cost:
    if request.parent.writer == "draft":
        return Cost(draft_tokens=tokens, flops=tokens * 0.1, usd=tokens * 1e-7)
    return Cost(output_tokens=tokens, flops=float(tokens), usd=tokens * 1e-6)


def _adoption_cost(request: Request, tokens: int) -> Cost:
    """A prefilled token costs half of a decoded one, and is no token of the answer."""
    return Cost(scoring_tokens=tokens, flops=_cost(request, tokens).flops / 2)


def asked(request: Request) -> str:
    """The question of a request."""
    return request.parent.question or request.question.text


def number_of(token: str) -> int:
    """The id of a token: its bytes as a number."""
    return int.from_bytes(token.encode())


def text_of(number: int) -> str:
    """The token of an id."""
    return number.to_bytes((number.bit_length() + 7) // 8).decode()


def likeliest(law: Mapping[str, float], top: int) -> tuple[NextToken, ...]:
    """The top next tokens, and the end token if it is possible."""
    found = [NextToken(number_of(t), math.log(p), t == END) for t, p in law.items() if p]
    found.sort(key=lambda one: (-one.log_probability, one.token))
    kept = [one for one in found if not one.ends][:top]
    return tuple(one for one in found if one.ends or one in kept)


def drawn(law: Mapping[str, float], temperature: float | None, place: list[int]) -> str:
    """A token sampled at a temperature; the draw depends on `place` alone."""
    tokens, chances = list(law), np.array(list(law.values()), dtype=float)
    if temperature == 0:
        return tokens[int(chances.argmax())]
    sharp = (chances / chances.max()) ** (1 / (1.0 if temperature is None else temperature))
    total = (sharp / sharp.sum()).cumsum()
    uniform = float(np.random.default_rng(place).random())
    return tokens[min(int(np.searchsorted(total, uniform, side="right")), len(tokens) - 1)]
