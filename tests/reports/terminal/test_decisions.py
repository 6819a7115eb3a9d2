"""The decisions of a spending rule as terminal text."""

from __future__ import annotations

from forethought.reports.terminal.decisions import lines, summary

RATE = {"mean": 0.6, "low": 0.2, "high": 0.9}


def alternative(action, net, way="", price=0.0, answers=0.0):
    told = {"action": action, "net": net, "right": 0.62, "price": price, "way": way}
    return {**told, "answers": answers}


SAMPLE = alternative("sample", 30e12, "shortened", 2e12, 1.4)
STOP = alternative("stop", 27e12)
RUN = {
    "decisions": [
        {
            "chosen": SAMPLE,
            "alternatives": [SAMPLE, STOP, alternative("abstain", 0.0)],
            "belief": {"right": 0.55, "groups": [1, 2], "calibrated": False,
                       "success": {"target": RATE, "shortened": RATE}},
            "value": 60e12, "spent": 1e12, "unit": "flops", "after": 3,
        }
    ]
}  # fmt: skip


def test_a_decision_shows_its_belief_its_reason_and_every_action():
    first, belief, why, *actions = lines(RUN)
    assert first == "after 3 answers, 1e+12 FLOPs spent; a right one is worth 6e+13 FLOPs"
    assert "not calibrated" in belief
    assert "right 0.55" in belief
    assert "answers by agreement 2, 1" in belief
    assert "the shortened prompt succeeds at 0.60 (90 %: 0.20 to 0.90)" in belief
    assert why == (
        "  sample from the shortened prompt is expected to bring 3e+13 FLOPs, 3e+12 FLOPs more "
        "than stop"
    )
    assert [one.strip()[0] for one in actions] == ["▶", "s", "a"]
    assert "1.4 more answers for 2e+12 FLOPs" in actions[0]


def test_the_only_action_needs_no_comparison():
    one = {**RUN["decisions"][0], "alternatives": [STOP], "chosen": STOP}
    assert lines({"decisions": [one]})[2] == "  stop is the only action left"


def test_a_run_without_decisions_shows_nothing():
    assert lines({}) == []
    assert summary({"decisions": []}) == ""
