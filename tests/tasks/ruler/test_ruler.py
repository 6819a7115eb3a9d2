"""References are found again by reading the generated text, with code that knows only its form."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadDataError, BadParameterError
from forethought.contracts.questions import Question

NAMES = [entry.name for entry in catalogue.families("tasks")["ruler"]]
NEEDLES = [name for name in NAMES if name.startswith("niah")]


def words(text: str) -> int:
    return len(text.split())


def length(question: Question) -> int:
    return words(f"{question.document}\n\n{question.text}")


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(words))


def test_the_family_has_rulers_thirteen_tasks() -> None:
    assert len(NAMES) == 13


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tokens", [250, 2000])
def test_questions_fill_their_length_and_never_exceed_it(name: str, tokens: int) -> None:
    _, questions = asked(f"{name}(tokens={tokens}, count=3)")

    # The longest piece is a generated sentence.
    assert all(tokens - 70 < length(question) <= tokens for question in questions)


@pytest.mark.parametrize("name", NAMES)
def test_more_questions_keep_the_first_ones(name: str) -> None:
    _, few = asked(f"{name}(tokens=400, count=2)")
    _, many = asked(f"{name}(tokens=400, count=4)")
    _, other = asked(f"{name}(tokens=400, count=2, seed=1)")

    assert many[:2] == few
    assert len({question.identifier for question in many}) == 4
    assert len({question.answers for question in [*many, *other]}) == 6


@pytest.mark.parametrize("name", NAMES)
def test_a_longer_text_asks_the_same_questions(name: str) -> None:
    _, short = asked(f"{name}(tokens=400, count=2)")
    _, long = asked(f"{name}(tokens=900, count=2)")

    assert [q.text for q in short] == [q.text for q in long]
    assert [q.answers for q in short] == [q.answers for q in long]


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_scores_its_share_of_the_references(name: str) -> None:
    task, (question,) = asked(f"{name}(tokens=400, count=1)")
    every = len(question.answers)

    assert task.check(question, " and ".join(question.answers).upper()) == 1
    assert task.check(question, "I do not know") == 0
    assert task.check(question, question.answers[-1]) == pytest.approx(1 / every)


@pytest.mark.parametrize("name", NAMES)
def test_a_length_too_short_for_the_question_is_refused(name: str) -> None:
    with pytest.raises(BadParameterError, match="tokens=9 is too few") as caught:
        asked(f"{name}(tokens=9)")

    least = int(caught.value.hint.split("=")[1].split()[0])
    assert length(asked(f"{name}(tokens={least}, count=1)")[1][0]) == least


def test_more_common_words_than_can_ever_stand_there_are_refused_at_once() -> None:
    with pytest.raises(BadParameterError, match="tokens=200 is too few"):
        asked("cwe(tokens=200, wanted=100000)")


def needles(document: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"A special \w+ for (\S+) is: (\S+)\.(?:\s|$)", document):
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", NEEDLES)
def test_needles_give_the_asked_keys_their_values_and_no_others(name: str) -> None:
    _, questions = asked(f"{name}(tokens=600, count=4)")

    for question in questions:
        hidden = needles(question.document)
        keys = [key for key in hidden if re.search(rf"{key}\b", question.text)]
        assert sorted(question.answers) == sorted(value for key in keys for value in hidden[key])
        assert len(keys) == (4 if name == "niah-multiquery" else 1)


@pytest.mark.parametrize(
    ("name", "keys", "values"),
    [
        ("niah-single-1", 1, r"\d{7}"),
        ("niah-single-2", 1, r"\d{7}"),
        ("niah-single-3", 1, r"[\da-f-]{36}"),
        ("niah-multikey-1", 4, r"\d{7}"),
        ("niah-multivalue", 1, r"\d{7}"),
        ("niah-multiquery", 4, r"\d{7}"),
    ],
)
def test_the_text_has_rulers_number_of_keys_and_kind_of_values(
    name: str, keys: int, values: str
) -> None:
    _, (question,) = asked(f"{name}(tokens=600, count=1)")

    hidden = needles(question.document)

    assert len(hidden) == keys
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", key) for key in hidden)
    assert all(re.fullmatch(values, one) for of in hidden.values() for one in of)
    assert {len(of) for of in hidden.values()} == {4 if name == "niah-multivalue" else 1}


@pytest.mark.parametrize("name", ["niah-multikey-2", "niah-multikey-3"])
def test_needle_haystacks_are_needles_throughout(name: str) -> None:
    _, (question,) = asked(f"{name}(tokens=600, count=1)")

    lines = question.document.splitlines()

    assert len(needles(question.document)) == len(lines) > 60
    assert len({value for of in needles(question.document).values() for value in of}) == len(lines)


def test_no_key_of_a_long_needle_haystack_comes_twice() -> None:
    _, (question,) = asked("niah-multikey-2(tokens=20000, count=1)")

    lines = question.document.splitlines()

    assert len(needles(question.document)) == len(lines) > 2000


def test_needles_lie_at_the_depth_they_state_and_depths_cover_the_text() -> None:
    _, questions = asked("niah-single-1(tokens=1000, count=30)")

    for question in questions:
        before = question.document.partition("A special")[0]
        (depth,) = question.data["depths"]
        assert words(before) / words(question.document) == pytest.approx(depth, abs=0.02)
    assert {int(question.data["depths"][0] * 10) for question in questions} == set(range(10))


@pytest.mark.parametrize("settings", ["", ", chains=3, hops=2", ", haystack=prose, hops=6"])
def test_the_tracked_variables_are_those_that_running_the_assignments_gives(settings: str) -> None:
    _, questions = asked(f"vt(tokens=900, count=3{settings})")

    for question in questions:
        values: dict[str, str] = {}
        for name, given in re.findall(r"VAR (\w+) = (?:VAR )?(\w+)\.", question.document):
            values[name] = values.get(given, given)
        value = re.search(r"value (\d+)", question.text)
        assert value
        assert {name for name in values if values[name] == value[1]} == set(question.answers)
        assert all(text.isdigit() for text in values.values())


def test_every_variable_of_a_chain_is_given_the_one_before_it() -> None:
    _, (question,) = asked("vt(tokens=900, count=1)")

    lines = re.findall(r"VAR (\w+) = (?:VAR )?(\w+)\.", question.document)

    assert [given for _, given in lines[1:]] == [name for name, _ in lines[:-1]]
    assert len(lines) == 5


@pytest.mark.parametrize(("tokens", "often", "seldom"), [(2000, 6, 1), (5000, 30, 3)])
def test_common_words_stand_out_as_rulers_do(tokens: int, often: int, seldom: int) -> None:
    _, (question,) = asked(f"cwe(tokens={tokens}, count=1)")

    counted = Counter(re.findall(r"\d+\. (\w+)", question.document))

    assert {counted[word] for word in question.answers} == {often}
    assert {counted[word] for word in counted.keys() - set(question.answers)} == {seldom}
    assert len(question.answers) == 10
    for reference in question.answers:
        assert [word for word in counted if reference in word] == [reference]


def test_no_other_word_of_the_list_holds_or_is_part_of_a_reference() -> None:
    _, questions = asked("cwe(tokens=1200, count=24)")

    for question in questions:
        listed = set(re.findall(r"\d+\. (\w+)", question.document))
        for reference in question.answers:
            assert [word for word in listed if reference in word or word in reference] == [
                reference
            ]


def test_common_and_uncommon_words_may_be_set() -> None:
    _, (question,) = asked("cwe(tokens=500, count=1, common=4, uncommon=2, wanted=3)")

    counted = Counter(re.findall(r"\d+\. (\w+)", question.document))

    assert sorted(set(counted.values())) == [2, 4]
    assert {word for word in counted if counted[word] == 4} == set(question.answers)


@pytest.mark.parametrize("tokens", [200, 3000])
def test_frequent_words_are_the_three_commonest_after_the_dots(tokens: int) -> None:
    _, questions = asked(f"fwe(tokens={tokens}, count=3)")

    for question in questions:
        ranked = Counter(question.document.split()).most_common(5)
        assert ranked[0][0] == "...."
        assert {word for word, _ in ranked[1:4]} == set(question.answers)
        assert ranked[3][1] > ranked[4][1]
        # Shares fall as the square of the rank: the second is a quarter of the first.
        assert ranked[1][1] / ranked[0][1] == pytest.approx(1 / 4, rel=0.1)


PERSON = (
    r"(?P<name>\w+ \w+) was born in (?P<town>\w+) in (?P<born>\d+)\. "
    r".* works for (?P<company>.*)\."
)
COMPANY = (
    r"(?P<name>[\w ]+) was founded in (?P<founded>\d+) by (?P<founder>\w+ \w+)\. "
    r".* makes (?P<product>\w+) and .* of (?P<town>\w+)\."
)


def facts(document: str, form: str) -> dict[str, dict[str, str]]:
    lines = document.splitlines()
    found = [match.groupdict() for line in lines if (match := re.fullmatch(form, line))]
    return {fact["name"]: fact for fact in found}


def test_one_document_holds_the_answer_and_names_who_is_asked_about() -> None:
    _, questions = asked("qa-1(tokens=800, count=8)")

    for question in questions:
        paragraphs = question.document.split("\n\n")
        subjects = facts(question.document, PERSON) | facts(question.document, COMPANY)
        (subject,) = [name for name in subjects if name in question.text]
        (telling,) = [text for text in paragraphs if text.split("\n")[1].startswith(subject)]
        assert question.answers[0] in telling


def test_two_documents_lead_from_a_person_to_the_fact_of_their_company() -> None:
    _, questions = asked("qa-2(tokens=800, count=8)")

    for question in questions:
        people = facts(question.document, PERSON)
        companies = facts(question.document, COMPANY)
        (name,) = [name for name in people if name in question.text]
        company = companies[people[name]["company"]]
        assert question.answers[0] in company.values()
        assert question.answers[0] not in people[name].values()
        assert people[name]["company"] not in question.text


def test_documents_are_numbered_in_order() -> None:
    _, (question,) = asked("qa-2(tokens=800, count=1)")

    numbers = [int(number) for number in re.findall(r"^Document (\d+):$", question.document, re.M)]

    assert numbers == list(range(1, len(numbers) + 1))


def test_prose_repeats_hardly_any_sentence() -> None:
    _, (question,) = asked("niah-single-2(tokens=8000, count=1)")

    sentences = re.split(r"(?<=\.)\s+", question.document)

    assert len(set(sentences)) / len(sentences) > 0.99
    assert len(set(re.findall(r"[a-z]+", question.document.lower()))) > 400
    assert not re.search(r"[{}]|\ba [aeiou]", question.document)


def test_a_text_file_is_a_haystack_repeated_as_often_as_needed(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("It began. Was it late?\n\nNobody knew!\n")

    _, (question,) = asked(f"niah-single-2(tokens=100, count=1, haystack='{book}')")

    hay = re.sub(r"A special .*? is: \d+\.\s", "", question.document)
    assert hay.startswith("It began. Was it late?\n\nNobody knew!\n\nIt began. Was it late?\n\n")
    assert length(question) > 95


@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_haystack_that_holds_no_text_is_named(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    book = tmp_path / "book.txt"
    if content is not None:
        book.write_text(content)

    with pytest.raises(BadDataError, match=rf"book\.txt' {problem}"):
        asked(f"niah-single-2(haystack='{book}')")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("vt(chains=90001)", "chains=90001 is too many"),
        ("niah-multikey-2(tokens=1000000)", "there are only .* keys of two words"),
    ],
)
def test_more_names_than_there_are_cannot_be_asked_for(task: str, message: str) -> None:
    with pytest.raises(BadParameterError, match=message):
        asked(task)


def test_fitting_asks_for_few_measurements() -> None:
    measured: list[int] = []

    def measure(text: str) -> int:
        measured.append(words(text))
        return measured[-1]

    task = catalogue.build("niah-single-2(tokens=30000, count=1)", "tasks")
    list(task.questions(measure))

    assert len(measured) < 16
