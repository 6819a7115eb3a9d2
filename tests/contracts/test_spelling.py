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
    # What paths, escapes and prompts are made of.
    st.lists(st.sampled_from(["\\", "\\\\", "C:", "?", "'", '"', "\n", "n", "x41", ".t", "{"])).map(
        "".join
    ),
)
NAMES = st.text(st.sampled_from("ntruUx4é _-.'+@()"), min_size=1)


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


def test_numbers_with_a_unit_need_no_quotes_and_are_written_with_them() -> None:
    call = spelling.parse("spend(value=60x, once=$0.01, most=1.5TFLOP, size=8MiB, large=1e5)")

    amounts = {"value": "60x", "once": "$0.01", "most": "1.5TFLOP", "size": "8MiB", "large": 1e5}
    assert call == Call("spend", amounts)
    assert str(call).startswith("spend(value='60x', ")  # as stored answers name it


@pytest.mark.parametrize("text", ["snapkv", " snapkv ", "snapkv()", "snapkv( )"])
def test_a_name_alone_sets_nothing(text: str) -> None:
    assert spelling.parse(text) == Call("snapkv")


@given(st.dictionaries(st.sampled_from(["keep", "pool", "a_b"]), VALUES))
def test_what_is_written_reads_back_with_the_same_types(settings: dict[str, object]) -> None:
    call = Call("speckv-pc", settings)

    assert repr(spelling.parse(str(call))) == repr(call)


WINDOWS_PATHS = [
    r"C:\Users\me\test.jsonl",
    r"C:\new\test.jsonl",
    r"C:\new\test" "\\",
    "C:\\",
    r"c:\x41\u0041 (new)\it's+@.jsonl",
    r"C:\new/test",
    r"\\server\new\test.jsonl",
    r"\\server\new" "\\",
    r"\\?\C:\new\test",
    r"\\?\UNC\server\new\test",
    r"data\new.test.jsonl",
    r".\new.jsonl",
    r"..\train\new-1.jsonl",
    r"\new.jsonl",
    r"a\b\0\g",
]


@pytest.mark.parametrize("path", WINDOWS_PATHS)
@pytest.mark.parametrize("quote", "'\"")
def test_a_windows_path_stands_as_it_is_typed(path: str, quote: str) -> None:
    if quote in path:
        return
    text = f"gsm8k(path={quote}{path}{quote}, count=5)"

    call = spelling.parse(text)

    assert call.settings == {"path": path, "count": 5}
    assert spelling.parse(str(call)) == call
    assert spelling.unquoted(spelling.quoted(path)) == path


@pytest.mark.parametrize("path", [r"C:\new\test.jsonl", r"\\server\new", r"new\test", "C:\\"])
def test_a_windows_path_of_one_word_needs_no_quotes(path: str) -> None:
    assert spelling.parse(f"gsm8k(path={path}, count=5)").settings == {"path": path, "count": 5}


@given(
    st.sampled_from(["C:\\", "z:\\", "\\\\server\\", "\\\\?\\D:\\"]),
    st.lists(NAMES, min_size=1),
)
def test_any_windows_path_in_double_quotes_stands_as_it_is_typed(
    root: str, names: list[str]
) -> None:
    path = root + "\\".join(names) + "\\"

    assert spelling.parse(f'gsm8k(path="{path}")').settings == {"path": path}


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        (r"'C:\\Users\\me\\new.jsonl'", r"C:\Users\me\new.jsonl"),
        (r"'\\\\server\\new\\'", r"\\server\new" "\\"),
        (r"'\\boxed'", r"\boxed"),
        (r"'\n\n'", "\n\n"),
        (r"'.\n'", ".\n"),
        (r"'\n\tStep '", "\n\tStep "),
        (r"'Q:\n{question}\nA:\n{answer}'", "Q:\n{question}\nA:\n{answer}"),
        (r"'Q:\nIs it right?'", "Q:\nIs it right?"),
        (r"""'it\'s "so"'""", 'it\'s "so"'),
        (r"'\x00\x85\u2028\U0001f600\ud800'", "\x00\x85\u2028\U0001f600\ud800"),
    ],
)
def test_escapes_that_stand_in_results_files_read_as_they_always_did(
    spelled: str, value: str
) -> None:
    assert spelling.parse(f"judge(text={spelled})").settings == {"text": value}


def test_other_backslashes_stand_for_themselves() -> None:
    assert spelling.parse(r"judge(text='\d+ \U00110000 \x4 \boxed')").settings == {
        "text": r"\d+ \U00110000 \x4 \boxed"
    }


@pytest.mark.parametrize("value", ["C:\nb", "a\nb.txt", "\\a\nb", "C:'\"\n", "\n" * 3000 + "a.b"])
def test_text_that_would_be_read_as_a_path_is_written_in_pieces(value: str) -> None:
    assert spelling.parse(str(Call("judge", {"text": value}))).settings == {"text": value}


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
        ("specpc(keep='a' + 'b')", "is not a value"),
        ("specpc(keep={[]: 1})", "is not a value"),
        (f"specpc(keep={'(' * 5000}{')' * 5000})", "is not a value"),
        (f"specpc(keep={'-' * 100_000}1)", "is not a value"),
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
