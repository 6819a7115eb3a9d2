from __future__ import annotations

import math

from forethought.contracts.calibrated import Calibrated, CrossValidated, MeasuredConfidence
from forethought.contracts.calibration import Calibration, CalibrationMap
from forethought.contracts.comparison import Interval
from forethought.reports.terminal.calibration import calibration_text


def around(value):
    return Interval(value, value - 0.1, value + 0.1)


def measured(method, questions, *, silent=0, chosen=None, auroc=0.7):
    held = {"platt": CrossValidated(around(0.11), around(0.12))} if chosen else {}
    return MeasuredConfidence(
        answers="tiny@majority-vote",
        method=method,
        tasks=("gsm8k",),
        questions=questions,
        silent=silent,
        accuracy=0.25,
        auroc=around(auroc),
        error=around(0.31),
        brier=around(0.22),
        area=around(0.63),
        accuracy_at={"0.5": 0.4},
        held_out=held,
        tokens=1234.0,
        flops=5e11,
        chosen=chosen,
    )


def rows_of(text, method):
    return [line for line in text.splitlines() if line.startswith(f"{method} ")]


def test_each_method_has_a_row_for_its_order_and_one_for_its_size():
    fit = CalibrationMap("platt", (1.0, 0.0))
    chosen = Calibration("tiny@majority-vote", "p-true", fit, ("gsm8k",), 40)
    found = Calibrated((measured("p-true", 40, chosen=chosen), measured("verbalised", 9, silent=3)))
    text = calibration_text(found, file="calibrations.json", width=80, colour=False)

    order, size = rows_of(text, "p-true")
    assert "0.70 [0.60, 0.80]" in order
    assert "0.63 [0.53, 0.73]" in order
    assert order.split()[-4:] == ["%", "1,234", "500", "GFLOP"]
    assert "0.31 [0.21, 0.41]  0.11 [0.01, 0.21]  platt" in size
    silent, _ = rows_of(text, "verbalised")
    assert "9 (2 right, 3 silent)" in silent
    assert "tiny@majority-vote: 40 answers to gsm8k, 25.0 % right" in text
    assert "calibrations (platt) in calibrations.json" in text


def test_a_measure_without_a_value_is_a_dash_and_no_number():
    text = calibration_text(
        Calibrated((measured("p-true", 3, auroc=math.nan),)), file="x", width=80, colour=False
    )
    order, _ = rows_of(text, "p-true")
    assert order.split()[4] == "-"
    assert "nan" not in text
    assert "calibrations (" not in text
