import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.runs.stops import StopMatcher


def passed(stops, pieces, keep=False):
    matcher, shown = StopMatcher(stops, keep), []
    for piece in pieces:
        shown.append(matcher.feed(piece))
        if matcher.stopped:
            break
    return "".join(shown) + matcher.finish(), matcher.stopped


@pytest.mark.parametrize(("keep", "text"), [(False, "one "), (True, "one STOP")])
def test_a_stop_string_split_over_pieces_is_cut_or_kept(keep, text):
    assert passed(["STOP"], ["on", "e S", "T", "OP two"], keep) == (text, True)


def test_what_only_began_a_stop_string_is_shown_after_all():
    assert passed(["STOP"], ["a ST", "ART"]) == ("a START", False)
    assert passed(["STOP"], ["a STO"]) == ("a STO", False)


def test_nothing_of_a_possible_stop_string_is_shown_early():
    matcher = StopMatcher(["STOP"], keep=False)

    assert matcher.feed("a ST") == "a "


def test_the_earliest_stop_string_wins():
    assert passed(["two", "one"], ["zero one two"]) == ("zero ", True)


@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=3), st.integers(1, 4))
def test_any_split_gives_the_text_before_the_stop(text, stop, size):
    pieces = [text[i : i + size] for i in range(0, len(text), size)]

    shown, stopped = passed([stop], pieces)

    # A piece may complete a later occurrence only if no earlier one was complete.
    assert stopped == (stop in text)
    assert shown == text.split(stop)[0]


def test_nothing_comes_after_a_kept_stop_string():
    matcher = StopMatcher(["STOP"], keep=True)

    shown = matcher.feed("one STOP and more")

    assert (shown, matcher.feed(" and more"), matcher.finish()) == ("one STOP", "", "")


@given(
    st.text("ab", max_size=20),
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3),
    st.integers(1, 20),
    st.booleans(),
)
def test_the_pieces_a_text_comes_in_change_nothing(text, stops, size, keep):
    pieces = [text[i : i + size] for i in range(0, len(text), size)]

    assert passed(stops, pieces, keep) == passed(stops, list(text), keep)
