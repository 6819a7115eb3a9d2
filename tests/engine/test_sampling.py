import math
from collections import Counter

import pytest
import torch

from forethought.contracts.errors import DamagedFileError
from forethought.engine.sampling import (
    Choice,
    SamplingParams,
    _invert,
    certainty,
    choose,
    choose_rows,
    confidence,
)

CHANCES = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])


def drawn(sampling, logits=None, count=2000):
    logits = CHANCES.log() if logits is None else logits
    return Counter(choose(logits, sampling, 0, position).token for position in range(count))


def shares(counts):
    total = sum(counts.values())
    return {token: count / total for token, count in sorted(counts.items())}


def test_zero_temperature_takes_the_best_and_the_first_of_equals():
    logits = torch.tensor([0.0, 3.0, 3.0, 1.0])

    assert choose(logits, SamplingParams(), 0, 0).token == 1


TINY = [5e-324, 1e-320, 1e-308, 1e-46, 1e-40, 1e-38, 1e-30, 1e-12, 1e-7]
FILTERS = [{}, {"top_k": 3}, {"top_p": 0.9}, {"min_p": 0.1}, {"top_k": 2, "top_p": 0.5}]


@pytest.mark.parametrize("temperature", TINY)
@pytest.mark.parametrize("filters", FILTERS)
def test_a_temperature_near_zero_is_greedy(temperature, filters):
    generator = torch.Generator().manual_seed(0)
    rows = 30 * torch.randn(50, 2000, generator=generator)
    sampling = SamplingParams(temperature=temperature, top_logprobs=2, **filters)

    for place, row in enumerate(rows):
        assert choose(row, sampling, 0, place) == choose(
            row, SamplingParams(top_logprobs=2), 0, place
        )


def test_a_temperature_near_zero_takes_the_first_of_equals_as_zero_does():
    logits = torch.tensor([0.0, 3.0, 3.0, 1.0])

    assert set(drawn(SamplingParams(temperature=1e-40), logits, 50)) == {1}


@pytest.mark.parametrize("temperature", [1e4, 1e30, 1e38, 1e300])
def test_at_a_great_temperature_all_tokens_are_as_likely(temperature):
    counts = drawn(SamplingParams(temperature=temperature), torch.tensor([9.0, -3.0, 0.0, 30.0]))

    assert shares(counts) == pytest.approx(dict.fromkeys(range(4), 0.25), abs=0.03)


@pytest.mark.parametrize("temperature", [1e-8, 1.0, 1e30])
def test_what_is_ruled_out_is_never_drawn(temperature):
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf])

    assert set(drawn(SamplingParams(temperature=temperature), logits, 200)) == {1, 3}


@pytest.mark.parametrize("uniform", [0.0, 0.5, math.nextafter(1.0, 0.0)])
def test_the_last_token_that_is_possible_is_the_last_to_be_drawn(uniform):
    for total in (0.1, 0.3, 0.7, 1.0, 1e-300):
        assert _invert(torch.tensor([0.0, total, 0.0], dtype=torch.float64), uniform) == 1


def test_draws_follow_the_model():
    # 2000 draws: the standard error of a share is at most 0.011.
    assert shares(drawn(SamplingParams(temperature=1.0))) == pytest.approx(
        dict(enumerate(CHANCES.tolist())), abs=0.03
    )


def test_temperature_sharpens():
    expected = CHANCES**2 / (CHANCES**2).sum()

    assert shares(drawn(SamplingParams(temperature=0.5))) == pytest.approx(
        dict(enumerate(expected.tolist())), abs=0.03
    )


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"top_k": 2}, [0, 1]),
        ({"top_k": 99}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.69}, [0, 1]),
        ({"top_p": 0.71}, [0, 1, 2]),
        ({"top_p": 1e-6}, [0]),
        ({"min_p": 0.3}, [0, 1, 2]),
        ({"min_p": 1.0}, [0]),
        ({"top_k": 3, "top_p": 0.5}, [0, 1]),
    ],
)
def test_filters_keep_exactly_the_likeliest(filters, kept):
    counts = drawn(SamplingParams(temperature=1.0, **filters))

    expected = {token: float(CHANCES[token] / CHANCES[kept].sum()) for token in kept}
    assert shares(counts) == pytest.approx(expected, abs=0.03)


def test_a_large_vocabulary_filters_as_a_small_one():
    logits = torch.full((5000,), -12.0)
    logits[[7, 4000, 90]] = torch.tensor([2.0, 1.0, 0.0])

    assert set(drawn(SamplingParams(temperature=1.0, top_p=0.92), logits, 500)) == {7, 4000, 90}
    assert set(drawn(SamplingParams(temperature=1.0, min_p=0.2), logits, 500)) == {7, 4000}


def test_a_draw_depends_on_seed_candidate_and_position_alone():
    draw = lambda seed, candidate: [  # noqa: E731
        choose(CHANCES.log(), SamplingParams(temperature=1.0, seed=seed), candidate, p).token
        for p in range(50)
    ]

    assert draw(1, 0) == draw(1, 0)
    assert draw(1, 0) != draw(2, 0)
    assert draw(1, 0) != draw(1, 1)


@pytest.mark.parametrize("filters", [{}, {"top_p": 0.99}, {"top_k": 4}, {"min_p": 0.05}])
def test_laws_that_rank_the_likeliest_differently_agree_on_most_draws(filters):
    """So a draft model that draws with the target's numbers is often right."""
    sampling = SamplingParams(temperature=1.0, **filters)
    logits = torch.stack([CHANCES, CHANCES[[1, 0, 2, 3, 4]]]).log()

    pairs = [
        [choose(row, sampling, 0, position).token for row in logits] for position in range(1000)
    ]
    together = [choose_rows(logits, [Choice(sampling, 0, n)] * 2) for n in range(100)]

    assert sum(mine == its for mine, its in pairs) / 1000 == pytest.approx(0.9, abs=0.03)
    assert [[one.token for one in rows] for rows in together] == pairs[:100]


def test_log_probabilities_are_the_models_own_whatever_the_filters():
    logits = CHANCES.log() + 3  # logits are chances up to a constant

    choice = choose(logits, SamplingParams(temperature=0.3, top_k=1, top_logprobs=3), 0, 0)

    assert choice.token == 0
    assert choice.log_probability == pytest.approx(float(CHANCES[0].log()), abs=1e-6)
    assert [token for token, _ in choice.top] == [0, 1, 2]
    assert [chance for _, chance in choice.top] == pytest.approx(
        CHANCES[:3].log().tolist(), abs=1e-6
    )


@pytest.mark.parametrize("top_k", [0, 3])
def test_a_top_p_of_nothing_still_draws_the_likeliest(top_k):
    sampling = SamplingParams(temperature=1.0, top_p=0.0, top_k=top_k)

    assert set(drawn(sampling, count=50)) == {0}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("filters", [{}, {"top_p": 0.9}, {"top_k": 3}, {"min_p": 0.1}])
def test_values_that_are_no_numbers_are_an_error_and_no_answer(temperature, filters):
    logits = torch.full((5,), torch.nan)

    with pytest.raises(DamagedFileError, match="no numbers"):
        choose(logits, SamplingParams(temperature=temperature, **filters), 0, 0)


def test_confidence_is_the_mean_doubt_of_the_twenty_likeliest():
    logits = torch.randn(50, generator=torch.Generator().manual_seed(0))
    chances = sorted(torch.softmax(logits.double(), 0).tolist(), reverse=True)
    expected = -sum(map(math.log, chances[:20])) / 20
    assert confidence(logits) == pytest.approx(expected, rel=1e-5)
    assert confidence(torch.zeros(4)) == pytest.approx(math.log(4))
    # A token that is ruled out counts 100 nats, so that the mean is finite.
    sure = torch.tensor([0.0, -math.inf])
    assert confidence(sure) == pytest.approx(50.0)


def test_certainty_is_the_divergence_from_uniform():
    uniform = torch.full((5,), 0.2)
    expected = float((uniform * (uniform / CHANCES).log()).sum())

    assert certainty(CHANCES.log()) == pytest.approx(expected)
    assert certainty(CHANCES.log() + 7.0) == pytest.approx(expected, rel=1e-4)
    assert certainty(torch.ones(9)) == pytest.approx(0.0, abs=1e-6)
    assert certainty(torch.ones(9)) >= 0


def test_what_is_ruled_out_is_no_token_that_could_stand_there():
    ruled_out = torch.tensor([-torch.inf])

    assert certainty(torch.cat([CHANCES.log(), ruled_out])) == pytest.approx(
        certainty(CHANCES.log())
    )


ROWS = [
    SamplingParams(),
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=0.7, top_logprobs=5, certainty=True),
    SamplingParams(temperature=1.3, top_k=20, confidence=True),
    SamplingParams(temperature=1.0, top_p=0.9, seed=3),
    SamplingParams(temperature=1.0, min_p=0.05, certainty=True),
    SamplingParams(temperature=0.9, top_k=40, top_p=0.8, min_p=0.01, top_logprobs=2),
    SamplingParams(temperature=1.0, top_p=0.0),
    SamplingParams(temperature=1e300),
    SamplingParams(top_logprobs=3, confidence=True, certainty=True),
]


@pytest.mark.parametrize("spread", [0.5, 3.0])
@pytest.mark.parametrize("together", [ROWS, ROWS[:1], ROWS[1:3], ROWS[3:4], ROWS[8:]])
def test_rows_chosen_at_once_are_those_chosen_one_by_one(together, spread):
    generator = torch.Generator().manual_seed(1)
    for position in range(40):
        logits = spread * torch.randn(len(together), 3000, generator=generator)
        choices = [Choice(one, n, position) for n, one in enumerate(together)]

        found = choose_rows(logits, choices)

        for row, choice, one in zip(logits, choices, found, strict=True):
            alone = choose(row, choice.sampling, choice.candidate, position)
            assert one.token == alone.token
            assert one.log_probability == alone.log_probability
            assert one.top == alone.top
            assert one.certainty == pytest.approx(alone.certainty, abs=1e-5)
            assert (one.certainty > 0) == choice.sampling.certainty
            assert one.confidence == pytest.approx(alone.confidence, abs=1e-5)
            assert (one.confidence > 0) == choice.sampling.confidence


def test_a_forced_token_among_rows_is_taken_and_measured():
    logits = torch.stack([CHANCES.log()] * 2)
    sampling = SamplingParams(temperature=1.0, top_logprobs=2, certainty=True)

    forced, drawn = choose_rows(logits, [Choice(sampling, 0, 0, forced=4), Choice(sampling, 1, 0)])

    assert (forced.token, forced.top) == (4, ())
    assert forced.log_probability == pytest.approx(float(CHANCES[4].log()), abs=1e-6)
    assert forced.certainty == pytest.approx(certainty(CHANCES.log()), abs=1e-6)
    assert len(drawn.top) == 2


def test_tokens_that_are_ruled_out_are_neither_drawn_nor_counted_in_any_row():
    ruled_out = torch.full((3,), -torch.inf)
    logits = torch.stack([torch.cat([CHANCES.log(), ruled_out])] * 3)
    rows = [
        SamplingParams(temperature=1e300, certainty=True),
        SamplingParams(temperature=1.0, top_p=0.99, certainty=True),
        SamplingParams(certainty=True),
    ]
    for position in range(200):
        choices = [Choice(one, 0, position) for one in rows]
        for one in choose_rows(logits, choices):
            assert one.token < len(CHANCES)
            assert one.certainty == pytest.approx(certainty(CHANCES.log()), abs=1e-6)


def test_a_row_that_is_no_numbers_is_its_own_error_alone():
    logits = torch.stack([torch.full((5,), torch.nan), CHANCES.log()])
    choices = [Choice(SamplingParams(temperature=1.0), n, 0) for n in range(2)]

    damaged, sound = choose_rows(logits, choices)

    with pytest.raises(DamagedFileError, match="no numbers"):
        damaged.checked()
    assert sound.checked() == choose(logits[1], choices[1].sampling, 1, 0)
