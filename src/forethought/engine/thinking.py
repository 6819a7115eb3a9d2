"""The reasoning part of a sequence, by the tokens that open and close it, and its budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from forethought.contracts.controls import ThinkingMarks


class Thinking:
    """Follows the tokens of one answer; once the budget is spent, it forces the closing tokens.

    Equal tokens lead to an equal state, so an answer can be continued by another sequence.
    """

    def __init__(
        self,
        marks: ThinkingMarks,
        prompt: Sequence[int] = (),
        turns: Collection[int] = (),
        limit: int | None = None,
    ) -> None:
        """The prompt may open the reasoning, or close it, after the last of the `turns` tokens.

        `limit` is the budget in tokens; None for no limit.
        """
        ends = (marks.opening, marks.closing)
        last = next((one for one in reversed(prompt) if one in ends or one in turns), None)
        self.inside = last == marks.opening
        """Whether the next token belongs to the reasoning."""
        self.may_open = last not in ends
        """Whether the answer may begin with reasoning."""
        self.tokens = 0
        """Tokens of reasoning so far, with the marks."""
        self._spent = 0  # without them
        self._marks, self._limit = marks, limit
        self._closing: deque[int] = deque()
        self._check()

    @property
    def opening(self) -> int:
        """The token that opens the reasoning."""
        return self._marks.opening

    @property
    def busy(self) -> bool:
        """Whether the next token is reasoning, or one of the tokens that close it."""
        return self.inside or bool(self._closing)

    @property
    def forced(self) -> int | None:
        """The next token, if the reasoning is being closed."""
        return self._closing[0] if self._closing else None

    def accept(self, token: int) -> None:
        """Follow a token of the answer."""
        closing = bool(self._closing)
        if closing and token == self._closing[0]:
            self._closing.popleft()
        was = self.inside
        if token == self._marks.closing:
            self.inside = False
        elif token == self._marks.opening and not was:
            self.inside = True
        else:
            self._spent += was
        self.tokens += was or self.inside
        self.may_open = False
        if not closing:
            self._check()

    def _check(self) -> None:
        if self.inside and self._limit is not None and self._spent >= self._limit:
            self._closing.extend(self._marks.close)
