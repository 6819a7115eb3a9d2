import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.backends.stop_matcher import StopMatcher

STOPS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=4)


def reference(stops, text, keep):
    """The text up to the first letter that completes a stop string, found letter by letter."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end if keep else end - max(map(len, complete))], True
    return text, False


@st.composite
def cut_texts(draw):
    """A text in pieces of any lengths, empty ones too."""
    text = draw(st.text("abc", max_size=25))
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


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


@given(STOPS, cut_texts(), st.booleans())
def test_any_pieces_give_what_a_search_letter_by_letter_gives(stops, pieces, keep):
    assert passed(stops, pieces, keep) == reference(stops, "".join(pieces), keep)


@given(STOPS, cut_texts())
def test_what_is_shown_is_never_taken_back_and_held_back_no_longer_than_needed(stops, pieces):
    matcher, shown, fed = StopMatcher(stops, keep=False), "", ""

    for piece in pieces:
        shown += matcher.feed(piece)
        fed += piece
        assert reference(stops, fed, keep=False)[0].startswith(shown)
        held = fed[len(shown) :]
        if not matcher.stopped and held:
            assert any(stop.startswith(held) for stop in stops)


@given(STOPS, cut_texts(), st.booleans())
def test_a_text_that_is_gone_on_with_ends_as_one_written_at_once(stops, pieces, keep):
    """Each piece has a matcher of its own, which knows what was shown before it."""
    text, stopped = "", False
    for piece in pieces:
        matcher = StopMatcher(stops, keep, after=text)
        fresh = matcher.feed(piece) + matcher.finish()
        text = text[: len(text) - matcher.back] + fresh
        if stopped := matcher.stopped:
            break

    assert (text, stopped) == reference(stops, "".join(pieces), keep)


def test_of_stop_strings_complete_with_the_same_letter_the_longer_is_cut():
    assert passed(["c", "bc", "abc"], ["xabc"]) == ("x", True)
