"""The data of a search: candidates, the pieces that extend them, and their next tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Path = tuple[int, ...]
"""The child numbers from the root of the search to a candidate; () is the root."""
Spans = tuple[tuple[int, int], ...]
"""Places of a text: the first character, and the one behind the last."""
Writer = Literal["target", "draft", "shortened"]
"""Who writes: the target, the draft, or the target behind the prompt that the recipe's methods
shorten. In a run with the last one, the target itself reads the whole prompt."""


class ProbeOutput(NamedTuple):
    """The outputs of a probe for one hidden state."""

    probe: str
    """The key of the probe."""
    outputs: tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """A partial or whole answer. Immutable: each extension makes a new candidate."""

    path: Path = ()
    question: str = ""
    """The question, if it differs from the run's own."""
    asked: str = ""
    """The run's own question after its document, if this candidate answers it. Empty for
    intermediate text such as a critique."""
    steps: tuple[str, ...] = ()
    """The text, one string for each piece."""
    lengths: tuple[int, ...] = ()
    """Tokens of each piece."""
    token_ids: tuple[int, ...] = ()
    """The token ids of the text; empty if the back end does not report them."""
    tokens: int = 0
    """Number of tokens."""
    log_probability: float = 0.0
    """The sum over all tokens and the end of the answer, at temperature 1."""
    scored_tokens: int = 0
    """Number of log-probabilities in that sum. The end of the answer counts if the back end
    reports it. 0 if unknown; then one for each token is assumed."""
    certainty: float | None = 0.0
    """Self-certainty: the sum over tokens of the KL divergence from the uniform distribution to
    the model's next-token distribution, in nats. None if the back end does not report it."""
    token_confidences: tuple[float, ...] | None = ()
    """For each token, and the end of the answer: the mean negative log-probability of the likeliest
    tokens in its place. High means sure. None if the back end does not report them."""
    finish: str = ""
    """Empty while the candidate can grow; then stop, length, budget, or a server's reason."""
    reasoning_tokens: int = 0
    """Tokens of reasoning, for a model that thinks."""
    probed: tuple[ProbeOutput, ...] = ()
    """The outputs of the run's probes: for the state that the newest token, or the end, was sampled
    from; or for the end of the prompt. Empty if the back end does not report them."""
    schema: str = ""
    """The JSON schema that the text follows; empty for free text."""
    dropped: Spans = ()
    """Parts of the text that its KV cache lacks, so later tokens do not see them."""
    writer: Writer = "target"
    """The writer of this candidate and its descendants. Children of the root are numbered across
    all writers, so no two of them share a random stream."""

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.steps)

    @property
    def done(self) -> bool:
        """Whether the candidate cannot grow any more."""
        return bool(self.finish)

    @property
    def whole(self) -> bool:
        """Whether it ended at an end token, a stop string or its maximum length."""
        return self.finish in ("stop", "length")

    @property
    def mean_log_probability(self) -> float:
        """The mean log-probability of a token, the end included; 0 for an empty candidate."""
        return self.log_probability / max(1, self.scored_tokens or self.tokens)

    @property
    def likelihood(self) -> float:
        """The geometric mean of the token probabilities, from 0 to 1."""
        # Rounding may leave a sum of log-probabilities just above 0.
        return math.exp(min(0.0, self.mean_log_probability))

    def outputs_of(self, probe: str) -> tuple[float, ...] | None:
        """The outputs of the probe of this key; None if the back end did not report them."""
        return next((one.outputs for one in self.probed if one.probe == probe), None)

    @property
    def identity(self) -> tuple[str, Path]:
        """Unique among the candidates of one run."""
        return self.question, self.path

    @property
    def first_child_tokens(self) -> int:
        """Tokens of the leading steps whose child number is 0."""
        steps = takewhile(lambda step: step[0] == 0, zip(self.path, self.lengths, strict=False))
        return sum(length for _, length in steps)

    def grown(self, child: int, piece: Piece) -> Candidate:
        """The child of this number: this candidate extended by a piece."""
        return replace(
            self,
            path=(*self.path, child),
            steps=(*shortened(self.steps, piece.back), piece.text),
            lengths=(*self.lengths, piece.tokens),
            token_ids=(*self.token_ids, *piece.token_ids),
            tokens=self.tokens + piece.tokens,
            log_probability=self.log_probability + piece.log_probability,
            scored_tokens=self.scored_tokens + piece.scored_tokens,
            certainty=total([self.certainty, piece.certainty]),
            token_confidences=joined([self.token_confidences, piece.token_confidences]),
            reasoning_tokens=self.reasoning_tokens + piece.reasoning_tokens,
            probed=newest([self.probed, piece.probed]),
            finish="" if piece.finish == "step" else piece.finish,
        )


@dataclass(frozen=True)
class Piece:
    """The text that a back end decodes after a candidate."""

    text: str
    token_ids: tuple[int, ...]
    tokens: int
    log_probability: float
    finish: str
    """step · stop · length (the lease is spent) · full (the context is full) · cancelled, or a
    server's content_filter · refusal · tool_calls."""
    rest: str = ""
    """The undecoded bytes of an incomplete character, as text if nothing follows."""
    certainty: float | None = None
    """The self-certainty of these tokens alone."""
    scored_tokens: int = 0
    """Number of log-probabilities in the sum, as for a candidate."""
    back: int = 0
    """Trailing characters of the parent that turn out to belong to a stop string; they leave
    the text."""
    reasoning_tokens: int = 0
    """Tokens of reasoning among them."""
    token_confidences: tuple[float, ...] | None = None
    """The confidence of these tokens, as for a candidate."""
    probed: tuple[ProbeOutput, ...] = ()
    """The outputs of the run's probes at its end, and at the prompt if it begins there."""


def newest(parts: Iterable[tuple[ProbeOutput, ...]]) -> tuple[ProbeOutput, ...]:
    """The latest outputs of each probe."""
    found = {one.probe: one for part in parts for one in part}
    return tuple(found.values())


def shortened(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """The texts without their last `count` characters overall."""
    found = list(texts)
    for place in reversed(range(len(found))):
        left = len(found[place]) - count
        found[place], count = found[place][: max(0, left)], max(0, -left)
    return tuple(found)


def total(certainties: Iterable[float | None]) -> float | None:
    """The sum; None if any of them is unknown."""
    found = list(certainties)
    known = [one for one in found if one is not None]
    return math.fsum(known) if len(known) == len(found) else None


def joined(parts: Iterable[tuple[float, ...] | None]) -> tuple[float, ...] | None:
    """The parts one after the other; None if any of them is unknown."""
    found: tuple[float, ...] = ()
    for part in parts:
        if part is None:
            return None
        found += part
    return found


@dataclass(frozen=True)
class Reading:
    """What a model computes of a given text behind a prompt."""

    log_probabilities: tuple[float, ...]
    """Of each token, at temperature 1."""
    top: tuple[tuple[tuple[int, float], ...], ...] = ()
    """The top tokens in the place of each token, with their log-probabilities."""
    texts: tuple[str, ...] = ()
    """The text of each token, if attention is reported."""
    attention: np.ndarray | None = None
    """[N, N] from each token to those before it: of the heads of lowest entropy, the greatest."""
    similarity: np.ndarray | None = None
    """[N, N] cosines between the hidden states of the tokens in the last layer."""


@dataclass(frozen=True)
class NextToken:
    """A possible next token of a candidate."""

    token: int
    """The token id."""
    log_probability: float
    """At temperature 1."""
    ends: bool = False
    """Whether it ends the answer."""
