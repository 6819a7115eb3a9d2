"""What two texts have in common."""

import pytest

from forethought.numerics.overlap import mean_overlaps, overlap


def test_equal_texts_have_all_in_common_and_strangers_nothing():
    assert overlap("the cat sat", "the  catsat\n") == 1.0
    assert overlap("abc", "xyz") == 0.0
    assert overlap("", "") == 1.0
    assert overlap("", "a") == 0.0


def test_it_is_the_mean_over_lengths_of_twice_the_shared_by_all():
    # ab, abc: letters 2*2/5, pairs 2*1/3, triples 0.
    assert overlap("ab", "abc") == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)
    # A letter that occurs twice in one text only is shared once.
    assert overlap("aa", "a") == pytest.approx((2 / 3 + 0) / 2)


def test_the_longest_that_count_have_six_letters():
    expected = (5 / 6 + 4 / 5 + 3 / 4 + 2 / 3 + 1 / 2 + 0) / 6
    assert overlap("abcdef", "abcdeg") == pytest.approx(expected)
    longer = (7 / 8 + 6 / 7 + 5 / 6 + 4 / 5 + 3 / 4 + 2 / 3) / 6
    assert overlap("abcdefgh", "abcdefgx") == pytest.approx(longer)


def test_it_is_the_same_both_ways_round():
    assert overlap("une réponse", "eine Antwort") == overlap("eine Antwort", "une réponse")


def test_means_are_over_all_others():
    texts = ["abc", "abd", "xyz"]
    expected = [sum(overlap(one, other) for other in texts if other != one) / 2 for one in texts]
    assert mean_overlaps(texts) == pytest.approx(expected)
    assert mean_overlaps(["alone"]) == [1.0]
    assert mean_overlaps([]) == []
