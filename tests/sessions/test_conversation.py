"""Turn after turn over one cache: the tokens of reading it all anew, and a cache within budget."""

from __future__ import annotations

from itertools import pairwise

import pytest

from forethought.contracts.errors import PromptTooLongError, UsageError
from forethought.cost.flops import entry_bytes
from forethought.models.chat.prompt import next_turn
from forethought.sessions.conversation import Conversation
from tests.sessions.tiny_session import DOCUMENT, TARGET, session
from tests.tiny import batch_of, fresh_logits

QUESTIONS = ["What is the code of locker 4?", "And of locker 7?", "Which is larger?"]


def turns(*methods, document=DOCUMENT, questions=QUESTIONS, **settings):
    talk = Conversation(session(approximate=methods, **settings), document)
    found = []
    for question in questions:
        *_, done = talk.stream(question)
        found.append(done.data["run"])
    return found, talk


def test_the_next_message_stands_as_the_template_writes_it():
    turn = next_turn(TARGET.tokenizer, TARGET.template, "And of locker 7?")

    assert turn.text == "</s><s>user: And of locker 7?</s><s>assistant: "
    assert turn.text[slice(*turn.content)] == "And of locker 7?"
    assert TARGET.tokenizer.ends & set(turn.tokens)


def test_every_turn_is_what_reading_all_of_it_anew_gives():
    _, talk = turns()

    # What was said and written is all in the prompt; the next token follows from a fresh row.
    batch, row = batch_of(TARGET.network), talk._cache
    written = talk._prompt.tokens
    assert row.next == len(written) - 1  # the last token was not read back
    logits = batch.step([row], [written[-1]])[0]
    assert int(logits.argmax()) == int(fresh_logits(TARGET.network, list(written)).argmax())


def test_only_what_is_new_is_read():
    found, _ = turns()

    for earlier, later in pairwise(found):
        cost = later["cost"]
        assert cost["cached_tokens"] > earlier["cost"]["cached_tokens"]
        assert cost["prompt_tokens"] < 80
        assert cost["cached_tokens"] + cost["prompt_tokens"] == later["kept"]["of"]
        # What a conversation saves is saved by the exact run too.
        assert cost["flops"] == pytest.approx(later["exact"]["flops"], rel=0.01)


@pytest.mark.parametrize(
    "method",
    ["snapkv(keep=150)", "streaming-llm(keep=150)", "ada-snapkv(keep=150)",
     "knorm(keep=150,whole_layers=0)", "speckv(keep=150)", "pyramidkv(keep=150)"],
)  # fmt: skip
def test_each_turn_cuts_the_cache_to_its_budget_again(method):
    found, talk = turns(method)

    each = entry_bytes(TARGET.shape, 8)
    for run in found:
        assert run["kept"]["cache_bytes"] <= (150 + 33) * each  # the answer adds, in steps of 32
    length = len(talk._prompt)
    newest = range(found[-1]["kept"]["of"] - 20, found[-1]["kept"]["of"] - 1)
    assert set(newest) <= set(found[-1]["kept"]["positions"])
    assert max(found[-1]["kept"]["positions"]) < length


def test_a_budget_of_everything_changes_no_turn():
    exact, _ = turns()

    off, _ = turns("snapkv(keep=2000)")

    assert [run["answer"] for run in off] == [run["answer"] for run in exact]


def test_a_shortened_prompt_stays_short_and_later_turns_are_whole():
    found, _ = turns("truncate(keep=200)")

    assert found[0]["cost"]["prompt_tokens"] == 200
    assert found[1]["cost"]["cached_tokens"] < 220
    assert found[1]["answer"]


def test_the_exact_run_of_a_later_turn_holds_what_was_left_out():
    exact, short = turns()[0], turns("truncate(keep=200)")[0]

    for whole, run in zip(exact, short, strict=True):
        lengths = [
            one["cost"]["cached_tokens"] + one["cost"]["prompt_tokens"] for one in (whole, run)
        ]
        assert run["exact"]["cache_bytes"] == pytest.approx(whole["exact"]["cache_bytes"], rel=0.02)
        assert run["exact"]["flops"] == pytest.approx(whole["exact"]["flops"], rel=0.1)
        assert lengths[1] < lengths[0]


@pytest.mark.parametrize("settings", [{"samples": 2}, {"approximate": ("quantised-kv",)}])
def test_what_cannot_go_on_is_refused(settings):
    with pytest.raises(UsageError, match="one answer per turn"):
        Conversation(session(**settings), DOCUMENT)


def test_an_interrupted_turn_keeps_its_text_and_can_be_followed():
    _, talk = turns(questions=QUESTIONS[:1])
    events = talk.stream(QUESTIONS[1])
    next(event for event in events if event.kind == "token")

    *_, done = events.throw(KeyboardInterrupt), *events

    found = done.data["run"]
    assert found["finish"] == "interrupted"
    assert found["answer"]
    *_, done = talk.stream(QUESTIONS[2])
    assert done.data["run"]["cost"]["cached_tokens"] > found["cost"]["cached_tokens"]


def test_nothing_follows_a_turn_that_was_left_before_its_end():
    _, talk = turns(questions=QUESTIONS[:1])
    events = talk.stream(QUESTIONS[1])
    next(events)
    events.close()

    with pytest.raises(UsageError, match="ended before its answer"):
        next(talk.stream(QUESTIONS[2]))


def test_a_first_turn_without_an_answer_changes_nothing():
    talk = Conversation(session(budget="1FLOP"), DOCUMENT)

    for question in QUESTIONS:
        *_, done = talk.stream(question)
        assert done.data["run"]["finish"] == "budget"


def test_a_turn_is_kept_where_nobody_waits_behind_its_last_event():
    whole, _ = turns()
    talk = Conversation(session(), DOCUMENT)
    found = []
    for question in QUESTIONS:
        found.append(next(e.data["run"] for e in talk.stream(question) if e.kind == "done"))

    assert [run["answer"] for run in found] == [run["answer"] for run in whole]


def test_a_turn_too_long_to_read_leaves_the_conversation_as_it_was():
    whole, _ = turns(questions=QUESTIONS[:2])
    _, talk = turns(questions=QUESTIONS[:1])

    with pytest.raises(PromptTooLongError):
        list(talk.stream("word " * 4000))

    *_, done = talk.stream(QUESTIONS[1])
    assert done.data["run"]["answer"] == whole[1]["answer"]
