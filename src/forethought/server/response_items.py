"""The items of a response's output, in the order in which the model writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Document = dict[str, Any]
Kind = Literal["reasoning", "message", "function_call"]
_PREFIXES: dict[Kind, str] = {"reasoning": "rs", "message": "msg", "function_call": "fc"}


@dataclass
class OutputItem:
    """Reasoning, a message, or a function call."""

    kind: Kind
    id: str
    pieces: list[str] = field(default_factory=list)
    """Its text, or the arguments of the call."""
    name: str = ""
    """The called function."""
    call_id: str = ""
    logprobs: list[Document] = field(default_factory=list)
    refuses: bool = False
    """Whether its text is the reason to withhold the answer."""

    @property
    def text(self) -> str:
        """Its text, or the arguments of the call."""
        return "".join(self.pieces)

    def part(self) -> Document:
        """The one part of its content."""
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": self.text}
        if self.refuses:
            return {"type": "refusal", "refusal": self.text}
        told = {"annotations": [], "logprobs": self.logprobs}
        return {"type": "output_text", "text": self.text, **told}

    def document(self, status: str) -> Document:
        """The item with all of its text; an item in progress has none yet."""
        done = status != "in_progress"
        head = {"id": self.id, "type": self.kind, "status": status}
        if self.kind == "function_call":
            arguments = self.text if done else ""
            return {**head, "call_id": self.call_id, "name": self.name, "arguments": arguments}
        content = [self.part()] if done else []
        own: Document = {"summary": []} if self.kind == "reasoning" else {"role": "assistant"}
        return {**head, **own, "content": content}


@dataclass
class ResponseItems:
    """The items so far."""

    name: str
    """The unique part of the response's id."""
    items: list[OutputItem] = field(default_factory=list)

    def take(self, delta: Document) -> OutputItem:
        """The item that a delta of the chat answer belongs to, with its text added."""
        if "tool_calls" in delta:
            (call,) = delta["tool_calls"]
            item = self._add("function_call")
            item.name, item.call_id = call["function"]["name"], call["id"]
            item.pieces.append(call["function"]["arguments"])
            return item
        kind: Kind = "reasoning" if "reasoning" in delta else "message"
        newest = self.items[-1] if self.items else None
        item = newest if newest is not None and newest.kind == kind else self._add(kind)
        if "refusal" in delta:
            item.refuses = True
        item.pieces.append(next(iter(delta.values())))
        return item

    def at_least_one(self) -> None:
        """Add an empty message to an output without items."""
        if not self.items:
            self._add("message")

    def _add(self, kind: Kind) -> OutputItem:
        number = f"_{len(self.items)}" if self.items else ""
        self.items.append(OutputItem(kind, f"{_PREFIXES[kind]}_{self.name}{number}"))
        return self.items[-1]
