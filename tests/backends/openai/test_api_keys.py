"""Keys: read once, checked without being shown, struck out of all that servers send."""

from __future__ import annotations

import pytest

from forethought.backends.openai.api_keys import JUDGE_KEY, KEY_NAMES, key_of
from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint
from forethought.backends.openai.key_scrubber import Scrubber
from forethought.cli.main import exit_code
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.driver.judges import Judges
from tests.backends.openai.hostile.keys import SPELLED
from tests.backends.openai.hostile.replies import KEY

SECRET = "sk-secret-12345"
ODD = ["a\nb", "a\rb", "q q", "a\tb", "a\0b", "a\x7fb", "é", "a\u2028b", "a\udce9", "\N{KEY}"]


@pytest.mark.parametrize(
    "around", ["{}", "{}\r", "{}\n", "\r\n{}\r\n", " {}\t", "\ufeff{}", "{}\xa0"]
)
@pytest.mark.parametrize("name", KEY_NAMES)
def test_blanks_around_a_key_are_no_part_of_it(name, around):
    assert key_of({name: around.format(SECRET)}) == SECRET


@pytest.mark.parametrize("blank", ["", " ", "\r", "\n \t"])
def test_a_blank_key_is_none(blank):
    assert key_of({KEY_NAMES[0]: blank}) == ""
    assert key_of({KEY_NAMES[0]: blank, KEY_NAMES[1]: SECRET}) == SECRET


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_key_is_refused_at_once_and_not_shown(odd):
    with pytest.raises(BadParameterError, match=KEY_NAMES[0]) as caught:
        key_of({KEY_NAMES[0]: f"sk-secret{odd}12345"})
    said = caught.value.message + caught.value.hint
    assert not any(part in said for part in ("sk-secret", "12345", odd))
    with pytest.raises(BadParameterError):
        OpenAIBackend(Endpoint("http://127.0.0.1:9/v1"), key=f"sk{odd}12345")


@pytest.mark.parametrize("name", KEY_NAMES)
def test_an_odd_key_is_one_error_and_no_request(toy, name, monkeypatch, capsys):
    monkeypatch.setenv(name, "sk-secret\n12345")
    assert exit_code(["ask", "What?", "-m", f"{toy.base}/v1#toy"]) == 2
    said = "".join(capsys.readouterr())
    assert name in said
    assert "secret" not in said
    assert toy.told()["asked"] == []


def test_the_key_of_judges_is_checked_too(monkeypatch):
    monkeypatch.setenv(JUDGE_KEY, f"{SECRET}\r\n")
    assert Judges()._key("http://h/v1") == SECRET
    monkeypatch.setenv(JUDGE_KEY, "sk-secret\x0012345".replace("\0", "é"))
    with pytest.raises(UsageError, match=JUDGE_KEY) as caught:
        Judges()._key("http://h/v1")
    assert "secret" not in caught.value.message


def test_a_key_with_a_line_end_reaches_the_server_without_it(toy, monkeypatch, capsys):
    monkeypatch.setenv("FORETHOUGHT_API_KEY", f"{SECRET}\r")
    assert exit_code(["ask", "What?", "-m", f"{toy.base}/v1#toy", "--max-tokens", "5"]) == 0
    assert set(toy.told()["keys"]) == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("key", [KEY, "a" * 300 + "1", "q\"\\<>&'%+/=9", "eyJ0.eyJ1-_." * 90])
def test_a_key_of_any_form_is_struck_out(key):
    scrub = Scrubber(key)
    for text in (key, key.upper(), f"x{key}y", f"no such key: {key!r}", ascii(key * 2)):
        assert key.lower()[:9] not in scrub.text(text).lower()
    assert scrub.text(f"before {key} behind") == "before *** behind"


@pytest.mark.parametrize("times", range(4))
def test_a_key_with_backslashes_is_struck_out_however_often_they_are_escaped(times):
    key = "ab\\c-host\\\\12345"
    said = key
    for _ in range(times):
        said = said.replace("\\", "\\\\")
    assert Scrubber(key).text(f"before {said} behind") == "before *** behind"
    numbered = key.replace("\\", "\\" * (times + 1) + "u005c")
    assert Scrubber(key).text(f"before {numbered} behind") == "before *** behind"


@pytest.mark.parametrize("name", SPELLED)
def test_every_spelling_is_struck_out_of_documents_too(name):
    found = Scrubber(KEY).document(
        {"a": [{SPELLED[name]: f"<{SPELLED[name]}>"}], "b": SPELLED[name]}
    )
    assert SPELLED[name] not in str(found)
    assert "***" in found["b"]


@pytest.mark.parametrize(
    "word", ["EMPTY", "none", "no", "x", "placeholder", "lm-studio", "hunter2"]
)
def test_a_word_that_is_used_as_a_key_stays_in_answers_and_within_words(word):
    scrub = Scrubber(word)
    assert scrub.answer(f"The glass is {word}.") == f"The glass is {word}."
    assert scrub.document({"id": word}) == {"id": word}
    assert scrub.text(f"wrong key: {word}") == "wrong key: ***"
    assert scrub.text(f"a{word}b") == f"a{word}b"


def test_without_a_key_nothing_is_struck_out():
    assert Scrubber("").text("all of it") == "all of it"


@pytest.mark.parametrize(
    "address", [f"http://me:{SECRET}@h:x/v1", f"http://{SECRET}@h/v1", f"http://h/v1?key={SECRET}"]
)
def test_a_key_in_an_address_is_refused_and_not_shown(address):
    with pytest.raises(BadParameterError) as caught:
        Endpoint.parse(address)
    assert SECRET not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("echoed", [SECRET, SECRET.upper(), f"m {SECRET[:11]}..."])
def test_what_is_kept_of_a_server_never_holds_the_key(toy, tmp_path, monkeypatch, capsys, echoed):
    """The model's name and version are part of every sample that is kept."""
    monkeypatch.setenv("FORETHOUGHT_API_KEY", SECRET)
    toy.set(served=f"m-{echoed}", fingerprint=echoed)
    kept, data = tmp_path / "kept.sqlite", tmp_path / "data.jsonl"
    data.write_text('{"question": "What?", "answer": "#### 5"}\n')
    task = f"gsm8k(path={data}, count=1)"
    command = ["compare", f"{toy.base}/v1#toy", "-m", f"{toy.base}/v1#toy", "-t", task]

    assert exit_code([*command, "--results", str(kept), "--json"]) == 0
    said = "".join(capsys.readouterr())
    stored = b"".join(one.read_bytes() for one in tmp_path.iterdir() if one != data)
    assert b"***" in stored
    assert SECRET[:11].encode() not in stored.lower()
    assert SECRET[:11] not in said.lower()
