import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.contracts.spelling import Call

VALUES = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"])),
)


def test_values_are_numbers_words_constants_or_quoted_text() -> None:
    call = spelling.parse(
        "specpc(keep=0.25, window=-3, draft=qwen-coder-0.5b, pool='max', weighted=true, last=none)"
    )

    assert call == Call(
        "specpc",
        {
            "keep": 0.25,
            "window": -3,
            "draft": "qwen-coder-0.5b",
            "pool": "max",
            "weighted": True,
            "last": None,
        },
    )


@pytest.mark.parametrize("text", ["snapkv", " snapkv ", "snapkv()", "snapkv( )"])
def test_a_name_alone_sets_nothing(text: str) -> None:
    assert spelling.parse(text) == Call("snapkv")


@given(st.dictionaries(st.sampled_from(["keep", "pool", "a_b"]), VALUES))
def test_what_is_written_reads_back_with_the_same_types(settings: dict[str, object]) -> None:
    call = Call("speckv-pc", settings)

    assert repr(spelling.parse(str(call))) == repr(call)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not of the form name(parameter=value)"),
        ("specpc(keep=512", "is not of the form name(parameter=value)"),
        ("specpc(512)", "'512' is not of the form parameter=value"),
        ("specpc(keep=512, )", "'' is not of the form parameter=value"),
        ("specpc(keep=)", "'' is not a value"),
        ("specpc(keep=two words)", "'two words' is not a value"),
        ("specpc(pool='max)", "unpaired quote or bracket"),
        ("specpc(keep=1, keep=2)", "sets keep twice"),
        ("specpc(__import__('os'))", "is not of the form parameter=value"),
        ("specpc(keep=open('x'))", "\"open('x')\" is not a value"),
    ],
)
def test_a_wrong_spelling_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        spelling.parse(text)

    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["a+b(c", "a)+b", "a+'b", "bob's.gguf"])
def test_an_unpaired_quote_or_bracket_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unpaired quote or bracket"):
        spelling.split(text, "+")


def test_only_separators_outside_quotes_and_brackets_split() -> None:
    assert spelling.split("a + b(c=1+2) + 'd+e' + f", "+") == ["a", "b(c=1+2)", "'d+e'", "f"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_survives_quoting_beside_others(name: str) -> None:
    text = f"{spelling.quoted(name)}+snapkv"

    first, second = spelling.split(text, "+")

    assert (spelling.unquoted(first), second) == (name, "snapkv")
