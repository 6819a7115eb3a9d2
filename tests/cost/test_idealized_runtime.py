"""The fit of alpha, beta and gamma, on data that a known runtime made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from forethought.contracts.errors import BadDataError
from forethought.cost.idealized_runtime import Timed, denoised, fit, read_timed

PROMPTS = (1, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512, 1024, 1536, 1920)
ANSWERS = (1, 4, 8, 16, 32, 48, 64)
"""The paper's grid."""


def alpha(prompt: int) -> float:
    return 0.02 + 1e-4 * prompt


def timed(beta: float = 0.03, gamma: float = 0.0, shift: float = 0.0) -> list[Timed]:
    return [
        Timed(p, o, shift + alpha(p) + sum(beta + gamma * (p + t) for t in range(1, o)))
        for p in PROMPTS
        for o in ANSWERS
    ]


def test_a_linear_runtime_is_recovered() -> None:
    found = fit(timed())

    assert found.beta == pytest.approx(0.03)
    assert found.fit == pytest.approx(1.0)
    assert found.worst < 1e-20
    for prompt in (1, 100, 700, 1920, 4000):
        assert found.first_token(prompt) == pytest.approx(alpha(prompt))
        assert found.seconds(prompt, 5) - found.seconds(prompt, 2) == pytest.approx(3 * 0.03)


def test_beta_equals_a_least_squares_line_with_intercept_by_numpy() -> None:
    rng = np.random.default_rng(0)
    noisy = [Timed(one.prompt, one.answer, one.seconds + rng.uniform(0, 0.01)) for one in timed()]
    alphas = {one.prompt: one.seconds for one in noisy if one.answer == 1}
    x = np.array([one.answer - 1 for one in noisy])
    y = np.array([one.seconds - alphas[one.prompt] for one in noisy])

    assert fit(noisy).beta == pytest.approx(np.polyfit(x, y, 1)[0])


def test_a_term_for_the_context_is_recovered_and_absent_if_there_is_none() -> None:
    grown, plain = fit(timed(gamma=2e-6), by_context=True), fit(timed(), by_context=True)

    assert (grown.beta, grown.gamma) == (pytest.approx(0.03), pytest.approx(2e-6))
    assert grown.seconds(3000, 200) == pytest.approx(
        alpha(3000) + sum(0.03 + 2e-6 * (3000 + t) for t in range(1, 200))
    )
    assert plain.gamma == pytest.approx(0.0, abs=1e-12)
    assert plain.seconds(500, 100) == pytest.approx(fit(timed()).seconds(500, 100))


def test_slopes_are_never_negative() -> None:
    falling = [Timed(p, o, alpha(p) + 0.03 * (o - 1) - 1e-7 * p * (o - 1))
               for p in PROMPTS for o in ANSWERS]  # fmt: skip

    found = fit(falling, by_context=True)

    assert (found.beta > 0, found.gamma) == (True, 0.0)


def test_no_prediction_beyond_the_timed_prompts_is_below_them() -> None:
    steep = fit([Timed(256, 1, 0.5), Timed(2048, 1, 5.0), Timed(256, 32, 1.1)])
    falling = fit([Timed(256, 1, 0.5), Timed(512, 1, 0.4), Timed(256, 32, 1.1)])

    assert steep.first_token(1) == steep.first_token(256) == 0.5
    assert steep.first_token(4096) == pytest.approx(5.0 + 2048 * 4.5 / 1792)
    assert falling.first_token(100_000) == 0.4
    assert falling.first_token(384) == pytest.approx(0.45)


def test_a_constant_moves_alpha_and_a_factor_scales_all() -> None:
    plain, moved = fit(timed()), fit(timed(shift=0.5))
    scaled = fit([Timed(one.prompt, one.answer, 3 * one.seconds) for one in timed()])

    assert moved.beta == pytest.approx(plain.beta)
    assert moved.alphas == pytest.approx([one + 0.5 for one in plain.alphas])
    assert scaled.beta == pytest.approx(3 * plain.beta)
    assert scaled.alphas == pytest.approx([3 * one for one in plain.alphas])


def test_the_fastest_repetition_counts() -> None:
    slow = [Timed(one.prompt, one.answer, one.seconds * 2) for one in timed()]

    assert denoised([*slow, *timed()]) == denoised(timed())
    assert fit([*slow, *timed()]) == fit(timed())


def test_money_and_energy_are_linear_in_time_accelerators_and_price() -> None:
    found = fit(timed())
    seconds = found.seconds(100, 10)

    assert found.usd(100, 10, 8, 40.96 / 8) == pytest.approx(seconds * 40.96 / 3600)
    assert found.usd(100, 10, 16, 2.0) == pytest.approx(2 * found.usd(100, 10, 8, 2.0))
    assert found.joules(100, 10, 2, 400) == pytest.approx(seconds * 800)


@pytest.mark.parametrize(
    ("measurements", "message"),
    [
        ([], "no answer of one token"),
        ([Timed(8, 2, 1.0)], "no answer of one token"),
        ([Timed(8, 1, 1.0), Timed(9, 2, 1.0)], r"\[9\]"),
        ([Timed(8, 1, 1.0)], "only answers of one token"),
        ([Timed(8, 1, 0.5), Timed(8, 32, 0.1)], "longer answers were faster"),
    ],
)
def test_grids_without_short_or_long_answers_are_refused(measurements, message) -> None:
    with pytest.raises(BadDataError, match=message):
        fit(measurements)


def test_timed_requests_are_read_from_a_file_and_others_refused(tmp_path) -> None:
    file = tmp_path / "timed.json"
    file.write_text(json.dumps([{"prompt": 8, "answer": 2, "seconds": 0.5}]))

    assert read_timed(file) == [Timed(8, 2, 0.5)]
    for text in ("[]", "{", "[1]", '[{"prompt": 8}]', '[{"prompt": 0, "answer": 1, "seconds": 1}]',
                 '[{"prompt": 8, "answer": 1, "seconds": -1}]',
                 '[{"prompt": 8.5, "answer": 1, "seconds": 1}]',
                 '[{"prompt": 8, "answer": 1, "seconds": "x"}]', "[" * 100_000,
                 f'[{{"prompt": {10**400}, "answer": 1, "seconds": 1}}]',
                 f'[{{"prompt": 8, "answer": 1, "seconds": {10**400}}}]'):  # fmt: skip
        file.write_text(text)
        with pytest.raises(BadDataError, match="no timed requests"):
            read_timed(file)
