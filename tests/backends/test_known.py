from collections import Counter

import pytest

from forethought.backends.known import drawn

LAW = {"a": 0.3, "b": 0.5, "c": 0.2}


@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-40, 1e-6])
def test_a_temperature_near_zero_draws_the_likeliest(temperature):
    assert {drawn(LAW, temperature, [0, place]) for place in range(50)} == {"b"}


def test_at_a_great_temperature_all_tokens_are_as_likely():
    counts = Counter(drawn(LAW, 1e30, [0, place]) for place in range(3000))

    # The standard error of a share is 0.009.
    assert [counts[token] / 3000 for token in LAW] == pytest.approx([1 / 3] * 3, abs=0.04)
