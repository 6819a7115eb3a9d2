import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.reports.terminal.strip import LEVELS, strip


def test_a_short_prompt_has_a_block_a_token() -> None:
    assert strip([0, 3, 4], [], 6, width=40) == "▇▁▁▇▇▁"


def test_a_long_prompt_shows_the_share_kept_in_each_block() -> None:
    kept = [*range(0, 10), *range(20, 25), 30]

    assert strip(kept, [], 40, width=4) == "▇▁▄▂"


def test_shares_of_heads_weigh_each_position() -> None:
    assert strip([0, 1, 2], [1.0, 0.5, 0.01], 4, width=4) == "▇▄▂▁"


def test_an_empty_prompt_has_an_empty_strip() -> None:
    assert strip([], [], 0, width=10) == ""


@given(st.integers(1, 500), st.integers(1, 60), st.data())
def test_extremes_mean_all_and_nothing(of: int, width: int, data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.integers(0, of - 1)))

    blocks = strip(sorted(kept), [], of, width=width)

    assert len(blocks) == min(of, width)
    for cell, block in enumerate(blocks):
        inside = {place for place in range(of) if place * len(blocks) // of == cell}
        assert (block == LEVELS[-1]) == (inside <= kept)
        assert (block == LEVELS[0]) == (not inside & kept)


@pytest.mark.parametrize("width", [1, 3, 7])
def test_a_whole_prompt_is_a_full_strip_at_any_width(width: int) -> None:
    assert strip(range(7), [], 7, width=width) == LEVELS[-1] * width
