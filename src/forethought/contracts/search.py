"""Protocols of strategies and scorers, the asks they yield and the result of a search.

A strategy is a generator: it yields asks and receives their results. It never touches a model,
a clock or a network. So one driver can serve many searches at once, enforce each budget, and
repeat any search token for token.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from forethought.contracts.candidates import Candidate as Candidate
from forethought.contracts.candidates import NextToken as NextToken
from forethought.contracts.candidates import Path as Path
from forethought.contracts.candidates import Piece as Piece
from forethought.contracts.candidates import ProbeOutput as ProbeOutput
from forethought.contracts.candidates import Reading as Reading
from forethought.contracts.candidates import Writer as Writer
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Cost
from forethought.contracts.spending import Charge as Charge
from forethought.contracts.spending import Quote as Quote
from forethought.contracts.spending import Settlement
from forethought.contracts.spending import Tell as Tell
from forethought.contracts.spending import charge as charge
from forethought.contracts.verdicts import ChoiceRule as ChoiceRule
from forethought.contracts.verdicts import FollowUp as FollowUp
from forethought.contracts.verdicts import Verdict as Verdict
from forethought.contracts.workers import WorkerPlan as WorkerPlan

if TYPE_CHECKING:
    import numpy as np

    from forethought.contracts.roles import StateProbe

Ability = Literal[
    "draft",
    "shortened-prompt",
    "steps",
    "log-probabilities",
    "certainty",
    "token-confidence",
    "verdicts",
    "next-tokens",
    "follow-ups",
    "readings",
    "probes",
    "workers",
    "schemas",
]
"""Abilities that a back end may lack: a draft that decodes candidates, shortened and whole prompts
in one run, continuing from a prefix, log-probabilities, self-certainty, confidences of tokens,
verdicts, top next tokens, questions behind an answer, readings, probes of hidden states, workers
that share a cache, and texts that follow a schema and drop finished parts."""
Until = Literal["end", "step"]


@dataclass(frozen=True)
class Write:
    """Ask for one child of each parent; the result is a list of candidates, in order.

    A parent may occur several times. Finished candidates come back unchanged.
    """

    parents: tuple[Candidate, ...]
    until: Until = "end"
    delimiter: str = "\n\n"
    """The text that ends a step; the step includes it."""
    temperature: float | None = None
    """None for the recipe's temperature."""
    max_tokens: int | None = None
    """Maximum tokens to add; None for the recipe's maximum."""
    tokens: tuple[int, ...] = ()
    """The first token of each child, if given and not sampled."""
    plan: WorkerPlan | None = None
    """If given, several workers write each child, whose text is that of all of them."""


@dataclass(frozen=True)
class Next:
    """Ask for the top next tokens of each candidate; the result is a list of NextToken each.

    Most probable first; empty for a finished candidate.
    """

    candidates: tuple[Candidate, ...]
    top: int
    """Number of tokens that continue the text; the best end token is listed too."""


@dataclass(frozen=True)
class PromptProbes:
    """Ask for the outputs of the run's probes at the end of the prompt of each candidate.

    The prefill is the one that the candidates need anyway. The result is a tuple of ProbeOutput
    each; it is empty for a candidate with tokens.
    """

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Score:
    """Ask the scorer for the score of each candidate, from 0 to 1."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Group:
    """Ask which candidates have equal answers; the result is a group number each.

    Groups count from 0 in order of appearance; None for a candidate without an answer.
    """

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class State:
    """Ask for the answer that each candidate states; the result is a text each.

    The text is empty for a candidate without an answer.
    """

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Reread:
    """Ask for readings of texts behind the prompt, without decoding; the result is one each."""

    texts: tuple[tuple[int, ...], ...]
    """The token ids of each text."""
    top: int = 0
    """Top tokens to report in the place of each token."""
    heads: int = 0
    """Heads of lowest entropy whose attention is reported; 0 for none."""
    recency: tuple[float, ...] = ()
    """Factors on the attention to the tokens just before each one, the farthest first."""


@dataclass(frozen=True)
class Adopt:
    """Ask for the child of a candidate that ends with a step of another model.

    The step's tokens are prefilled, not decoded, so a chain of steps may have several writers. The
    result is a candidate of the parent's writer; it ends as the step did.
    """

    parent: Candidate
    step: Candidate
    """A candidate of the same text as the parent and one newest step."""


Ask = (
    Write | Next | PromptProbes | Score | Group | State | Verdict | FollowUp | Reread
    | Charge | Quote | Tell | Adopt
)  # fmt: skip
Search = Generator[Ask, Any, "Found"]
Scores = Generator[Ask, Any, "list[float]"]
Estimate = Generator[Ask, Any, "float | None"]
"""How sure an answer is, from 0 to 1; None if the method cannot say."""


@dataclass(frozen=True)
class Found:
    """The result of a search."""

    best: Candidate
    considered: tuple[Candidate, ...] = ()
    """All candidates of the final choice, in order of creation."""
    weights: tuple[float, ...] = ()
    """The weight of each of them in the choice."""
    confidence: float | None = None
    """The share of the weight that agrees with `best`."""
    pruned: tuple[Candidate, ...] = ()
    """Candidates that the search abandoned."""
    notes: tuple[str, ...] = ()
    estimates: tuple[ConfidenceEstimate, ...] = ()
    """How sure `best` is, by each confidence method of the run."""
    settlement: Settlement | None = None
    """The decisions of a spending rule."""


@dataclass(frozen=True)
class ConfidenceEstimate:
    """How sure an answer is by one confidence method, before any calibration."""

    method: str
    """The spelling of the method."""
    value: float | None
    """From 0 to 1; None if the method could not say."""
    cost: Cost
    """The cost of this estimate alone; the run's cost includes it."""
    note: str = ""
    """The reason why there is no value."""


class Strategy(Protocol):
    """A search algorithm: it spends more than one pass on a question."""

    @property
    def needs(self) -> frozenset[Ability]:
        """What the back end must be able to do."""
        return frozenset()

    @property
    def scores(self) -> bool:
        """Whether the strategy needs a scorer."""
        return False

    @property
    def may_abstain(self) -> bool:
        """Whether it may end without an answer; its candidates are then not shown before."""
        return False

    @property
    def draws_alike(self) -> bool:
        """Whether all candidates are i.i.d. answers and their number does not depend on them.

        If so, subsets of the candidates estimate the score of fewer answers.
        """
        return False

    @property
    def probes(self) -> Sequence[StateProbe]:
        """The probes whose outputs candidates carry."""
        return ()

    @property
    def follows_up(self) -> bool:
        """Whether it asks about finished answers, so that the back end keeps their caches."""
        return False

    @property
    def chooses(self) -> Literal["vote", "score", ""]:
        """The selection rule: majority vote or greatest score; empty for any other."""
        return ""

    @property
    def most_answers(self) -> int:
        """Answers without its early stop; 0 for a strategy that never stops early."""
        return 0

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Search from an empty candidate; only results and `rng` are random."""
        ...


class Scorer(Protocol):
    """A verifier or reward model: it scores whole and partial answers."""

    @property
    def needs(self) -> frozenset[Ability]:
        """What the back end must be able to do."""
        return frozenset()

    @property
    def probes(self) -> Sequence[StateProbe]:
        """The probes whose outputs candidates carry."""
        return ()

    @property
    def by(self) -> str:
        """The server address of the model that gives verdicts; empty for none."""
        return ""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer for questions of this task, or for a question without a task.

        Raises UsageError if the scorer needs a task.
        """
        return self

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A score from 0 to 1 for each candidate, in order; higher is better."""
        ...

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """How sure an answer is; `samples` are all answers to the question, this one included."""
        (found,) = yield from self.score(question, [answer])
        return found


class Reader(Protocol):
    """Groups equal answers."""

    def group(self, candidates: Sequence[Candidate]) -> list[int | None]:
        """A group number for each candidate; None for a candidate without an answer."""
        ...

    def state(self, candidates: Sequence[Candidate]) -> list[str]:
        """The answer that each candidate states; empty for a candidate without one."""
        groups = self.group(candidates)
        pairs = zip(candidates, groups, strict=True)
        return ["" if group is None else one.text.strip() for one, group in pairs]


def write(
    parents: Iterable[Candidate],
    *,
    until: Until = "end",
    delimiter: str = "\n\n",
    temperature: float | None = None,
    max_tokens: int | None = None,
    tokens: Iterable[int] = (),
    plan: WorkerPlan | None = None,
) -> Generator[Ask, Any, list[Candidate]]:
    """Ask for one child of each of these."""
    given = tuple(tokens), plan
    return list((yield Write(tuple(parents), until, delimiter, temperature, max_tokens, *given)))


def following(
    candidates: Iterable[Candidate], top: int
) -> Generator[Ask, Any, list[tuple[NextToken, ...]]]:
    """Ask for the top next tokens of each of these."""
    return list((yield Next(tuple(candidates), top)))


def prompt_probes(
    candidates: Iterable[Candidate],
) -> Generator[Ask, Any, list[tuple[ProbeOutput, ...]]]:
    """Ask for the outputs of the run's probes at the end of each prompt."""
    return list((yield PromptProbes(tuple(candidates))))


def take(
    parents: Iterable[Candidate], tokens: Iterable[int]
) -> Generator[Ask, Any, list[Candidate]]:
    """Ask for the child of each parent that its token makes."""
    return list((yield Write(tuple(parents), max_tokens=1, tokens=tuple(tokens))))


def score(candidates: Iterable[Candidate]) -> Generator[Ask, Any, list[float]]:
    """Ask for the score of each of these."""
    return list((yield Score(tuple(candidates))))


def group(candidates: Iterable[Candidate]) -> Generator[Ask, Any, list[int | None]]:
    """Ask for groups of equal answers."""
    return list((yield Group(tuple(candidates))))


def state(candidates: Iterable[Candidate]) -> Generator[Ask, Any, list[str]]:
    """Ask for the answer that each candidate states."""
    return list((yield State(tuple(candidates))))


def reread(
    texts: Iterable[Sequence[int]],
    *,
    top: int = 0,
    heads: int = 0,
    recency: Sequence[float] = (),
) -> Generator[Ask, Any, list[Reading]]:
    """Ask for readings of texts behind the prompt."""
    return list((yield Reread(tuple(map(tuple, texts)), top, heads, tuple(recency))))


def verdicts(
    questions: Iterable[str], choices: Sequence[str], *, by: str = "", rule: ChoiceRule = "word"
) -> Generator[Ask, Any, list[tuple[float, ...]]]:
    """Ask for the probability of each choice."""
    return list((yield Verdict(tuple(questions), tuple(choices), by, rule)))


def follow_up(
    candidates: Iterable[Candidate],
    question: str,
    choices: Sequence[str],
    *,
    reply: str = "",
    rule: ChoiceRule = "word",
) -> Generator[Ask, Any, list[tuple[float, ...]]]:
    """Ask for the probability of each choice as the reply to a question about a candidate."""
    return list((yield FollowUp(tuple(candidates), question, tuple(choices), reply, rule)))


def adopt(parent: Candidate, step: Candidate) -> Generator[Ask, Any, Candidate]:
    """Ask for the child of a candidate that ends with the newest step of another one."""
    found: list[Candidate] = yield Adopt(parent, step)
    return found[0]
