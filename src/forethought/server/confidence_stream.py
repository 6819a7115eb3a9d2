"""How sure a model's answers are over time: a running belief, and an alarm when it changes.

Without gold answers, a change of confidence is the first sign of other questions, a damaged model
or a changed setting. Confidences of methods differ in scale. So each stream takes its own usual
level from its first answers, and follows the share of answers at or above it.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forethought.beliefs.stream import ChangeAlarm, DiscountedRate
from forethought.beliefs.success import UNIFORM, Beta

DECISIONS = "decisions"
"""The method of typed decisions."""
FIRST = 50
"""Answers that set the usual level."""
_ALARM = ChangeAlarm(hazard=1 / 5000, threshold=0.95)
"""Once in 5,000 answers a change is expected, so that alarms are rare."""
_OVER = 0.5
"""Probability of a change below which its alarm ends."""
_MOST = 64
"""Streams of a server; answers of others are not followed."""
_LOG = logging.getLogger("forethought.server")
_LABELS = ("model_name", "engine", "method")
_ALARMS = (
    "forethought:confidence_alarms",
    "Changes of the share with a probability above 0.95; each has a line in the log.",
)
_GAUGES = {
    "mean": ("forethought:confidence", "Mean confidence of the last hundred answers or so."),
    "share": ("forethought:confidence_usual_share", "Share of answers that reach the usual level."),
    "low": ("forethought:confidence_usual_share_low", "Lower end of its 90 % interval."),
    "high": ("forethought:confidence_usual_share_high", "Upper end of its 90 % interval."),
    "changed": (
        "forethought:confidence_changed",
        "Probability that the share changed within the last 50 answers.",
    ),
}  # fmt: skip


@dataclass
class ConfidenceStream:
    """The confidences of one model's answers by one method, in order."""

    answers: int = 0
    mean: float = 0.0
    """Of the newest hundred answers or so; older ones fade."""
    usual: float | None = None
    """The level that at most half of the first answers reached, if there is one."""
    belief: Beta = UNIFORM
    """Of the share of answers at or above the usual level; old answers tell less."""
    alarm: ChangeAlarm = _ALARM
    changing: bool = False
    """Whether an alarm lasts."""
    alarms: int = 0
    """Alarms so far. One lasts for some answers only, which a reader of gauges may miss."""
    _first: list[float] = field(default_factory=list)

    def add(self, confidence: float) -> None:
        """Take the next answer into account."""
        self.answers += 1
        self.mean += (confidence - self.mean) / min(self.answers, 100)
        if self.usual is not None:
            self._follow(confidence >= self.usual)
            return
        self._first.append(confidence)
        if len(self._first) == FIRST:
            self.usual = usual_level(self._first)
            for one in self._first:
                self._follow(one >= self.usual)

    def document(self) -> dict[str, Any]:
        """The stream as plain JSON values; no share before the usual level is known."""
        known = self.usual is not None
        low, high = self.belief.interval()[0].tolist() if known else (None, None)
        return {
            "answers": self.answers,
            "mean": self.mean,
            "usual": self.usual,
            "share": self.belief.mean[0].item() if known else None,
            "low": low,
            "high": high,
            "changed": self.alarm.changed,
            "alarm": self.changing,
            "alarms": self.alarms,
        }

    def _follow(self, sure: bool) -> None:
        self.belief = DiscountedRate().after(self.belief, sure)
        self.alarm = self.alarm.after(sure)
        if self.alarm.raised and not self.changing:
            self.alarms += 1
        # One change is one alarm, even if its probability moves about the threshold.
        self.changing = self.alarm.raised or (self.changing and self.alarm.changed > _OVER)


def usual_level(values: list[float]) -> float:
    """The least value that at most half of the values reach; the greatest if there is none."""
    middle = statistics.median_high(values)
    reached = sum(value >= middle for value in values)
    above = [value for value in values if value > middle]
    return middle if 2 * reached <= len(values) or not above else min(above)


class ConfidenceStreams(Collector):
    """The streams of a server, by public model name and method; their gauges for a registry."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], ConfidenceStream] = {}

    def note(self, model: str, method: str, confidence: float) -> None:
        """Take an answer's confidence into account; an alarm that is raised is logged."""
        key = model, method.partition("(")[0]
        if key not in self._streams and len(self._streams) >= _MOST:
            return
        stream = self._streams.setdefault(key, ConfidenceStream())
        before = stream.alarms
        stream.add(confidence)
        if stream.alarms > before:
            _LOG.warning(
                "the confidence of %s by %s has changed: %.0f %% of answers now reach %.2f",
                *key,
                100 * stream.alarm.rate,
                stream.usual,
            )

    def note_run(self, model: str, run: Mapping[str, Any]) -> None:
        """Take the answer of a run into account, if its confidence is known."""
        told = run["confidence"]
        if told is not None and told["value"] is not None:
            self.note(model, told["method"], told["value"])

    def of(self, model: str) -> dict[str, dict[str, Any]]:
        """The streams of a model by method, as plain JSON values."""
        own = self._streams.items()
        return {method: stream.document() for (name, method), stream in own if name == model}

    def collect(self) -> Iterator[Metric]:
        """The metrics at this moment."""
        documents = {key: stream.document() for key, stream in self._streams.items()}
        for name, (metric, told) in _GAUGES.items():
            family = GaugeMetricFamily(metric, told, labels=_LABELS)
            for (model, method), one in documents.items():
                if one[name] is not None:
                    family.add_metric((model, "0", method), float(one[name]))
            yield family
        alarms = CounterMetricFamily(*_ALARMS, labels=_LABELS)
        for (model, method), one in documents.items():
            alarms.add_metric((model, "0", method), one["alarms"])
        yield alarms
