"""The replay log of back-end outcomes: a resumed run repeats no request."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from forethought.contracts.backend import Opened, RequestOutcome
from forethought.contracts.records import Cost, Kept
from forethought.contracts.search import NextToken, Piece, ProbeOutput
from forethought.storage.store_file import reporting

_CONFIDENCES = "token_confidences"
_SCORED = "summed"
"""The stored name of `Piece.scored_tokens`, kept for existing files."""


class ReplayLog(Protocol):
    """Outcomes by request key."""

    def get(self, key: str) -> RequestOutcome | None:
        """The stored outcome of a request, or None."""
        ...

    def put(self, outcome: RequestOutcome) -> None:
        """Store an outcome durably."""
        ...


@dataclass
class StoredReplayLog:
    """Outcomes in a results file, each on disk before its use."""

    path: Path
    connection: sqlite3.Connection
    _ready: bool = field(default=False)

    def get(self, key: str) -> RequestOutcome | None:
        """The stored outcome of a request, or None."""
        rows = self._execute("SELECT outcome FROM pieces WHERE key = ?", (key,))
        return outcome_of(key, json.loads(rows[0][0])) if rows else None

    def put(self, outcome: RequestOutcome) -> None:
        """Store an outcome, unless its key is already stored."""
        self._execute(
            "INSERT INTO pieces (key, outcome) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
            (outcome.key, json.dumps(outcome_document(outcome))),
        )

    def _execute(self, query: str, values: Sequence[str]) -> list[Any]:
        with reporting(self.path):
            if not self._ready:
                self.connection.execute(
                    "CREATE TABLE IF NOT EXISTS pieces "
                    "(key TEXT PRIMARY KEY, outcome TEXT NOT NULL) WITHOUT ROWID"
                )
                self._ready = True
            return self.connection.execute(query, values).fetchall()


def outcome_document(outcome: RequestOutcome) -> dict[str, Any]:
    """An outcome without its key and error, as plain JSON values."""
    return {
        "cost": asdict(outcome.cost),
        "piece": None if outcome.piece is None else _document(outcome.piece),
        "chances": outcome.chances,
        "following": [[one.token, one.log_probability, one.ends] for one in outcome.following],
        "opened": None if outcome.opened is None else asdict(outcome.opened),
        "seconds": outcome.seconds,
        "lost": asdict(outcome.lost),
        **({"probed": outcome.probed} if outcome.probed else {}),
    }


def outcome_of(key: str, document: dict[str, Any]) -> RequestOutcome:
    """The outcome of a document of `outcome_document`, read from JSON."""
    piece = document["piece"]
    if piece is not None:
        # Old files lack this count: there every token and the end token were scored.
        counted = piece["tokens"] + (piece["finish"] == "stop")
        piece = _piece({_SCORED: counted, **piece})
    chances = tuple(tuple(one) for one in document["chances"])
    following = tuple(NextToken(*one) for one in document["following"])
    opened = _opened(document["opened"])
    cost = Cost(**document["cost"])
    told, lost = document["seconds"], Cost(**document.get("lost", {}))
    probed = _probed(document)
    return RequestOutcome(
        key, cost, piece, chances, opened, None, following, told, lost, probed=probed
    )


def _document(piece: Piece) -> dict[str, Any]:
    fields = asdict(piece)
    counted, probed = fields.pop("scored_tokens"), fields.pop("probed")
    if piece.token_confidences is None:
        del fields[_CONFIDENCES]
    return {**fields, _SCORED: counted, **({"probed": probed} if probed else {})}


def _piece(document: dict[str, Any]) -> Piece:
    fields = {**document, "token_ids": tuple(document["token_ids"])}
    counted = fields.pop(_SCORED)
    confidences = fields.pop(_CONFIDENCES, None)
    known = None if confidences is None else tuple(confidences)
    fields["probed"] = _probed(document)
    return Piece(scored_tokens=counted, token_confidences=known, **fields)


def _probed(document: dict[str, Any]) -> tuple[ProbeOutput, ...]:
    return tuple(ProbeOutput(key, tuple(held)) for key, held in document.get("probed", ()))


def _opened(document: dict[str, Any] | None) -> Opened | None:
    if document is None:
        return None
    held: dict[str, Any] = document["kept"]
    kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in held.items()}
    return Opened(document["length"], Kept(**kept), tuple(document["notes"]))
