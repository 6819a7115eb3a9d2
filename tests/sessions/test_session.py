"""Whole runs on tiny models: exactness at the off values, drafts of every kind, budgets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.contracts.errors import BadParameterError, PromptTooLongError, UsageError
from forethought.cost.flops import entry_bytes
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask
from forethought.sessions.session import Session
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
    at_full_budget,
    below_full_budget,
    drafted,
    events,
    run,
    session,
)
from tests.tiny_model import tiny_model


@cache
def exact_run(samples):
    return run(samples=samples)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(("name", "draft"), fast_each(2, drafted()))
def test_off_values_give_the_exact_runs_tokens(name, draft, samples):
    exact = exact_run(samples)

    off = run(draft, approximate=(at_full_budget(name),), samples=samples)

    assert off["answer"] == exact["answer"]
    assert off["candidates"] == exact["candidates"]
    assert off["cost"]["draft_tokens"] == 0
    assert off["kept"]["positions"] == exact["kept"]["positions"]
    assert any("skipped" in note for note in off["notes"])


@pytest.mark.parametrize(("name", "draft"), fast_each(2, drafted()))
def test_below_the_off_value_something_is_dropped_and_charged(name, draft):
    part = below_full_budget(name)

    found = run(draft, approximate=(part,), seed=1)

    length = found["kept"]["of"]
    if name in ("spec-prefill", "specpc", "specpc-fused") and draft != "same-tokens":
        # All layers of a draft as large as the target: nothing could be saved.
        assert "its draft would cost more prefill FLOPs than it saves" in found["notes"][0]
        return
    method = catalogue.build(part)
    drafts = method.uses_draft() or method.correction() is not None
    assert (found["cost"]["draft_tokens"] > 0) == drafts
    assert len(found["kept"]["positions"]) <= length
    thins = method.thins_attention()  # which costs less to read, not to hold
    if (density := found["cost"].get("density")) is not None:
        assert density < 1
        assert found["kept"]["cache_bytes"] == found["exact"]["cache_bytes"]
    else:
        assert thins or found["kept"]["cache_bytes"] < found["exact"]["cache_bytes"]
    assert found["answer"]
    repeated = run(draft, approximate=(part,), seed=1)
    assert repeated["answer"] == found["answer"]
    assert repeated["kept"]["positions"] == found["kept"]["positions"]


@pytest.mark.parametrize("draft", DRAFTS)
def test_template_and_question_survive_any_draft(draft):
    kept = run(draft, approximate=("specpc-shallow(keep=120, window=1)",))["kept"]

    *_, done = session().stream(QUESTION, DOCUMENT)
    prompt_length = done.data["run"]["kept"]["of"]
    question = range(prompt_length - len(f"{QUESTION}</s><s>assistant: ") + 8, prompt_length)
    assert set(question) <= set(kept["positions"])
    assert set(range(5)) <= set(kept["positions"])


def test_a_cache_of_a_tenth_is_a_tenth_of_the_bytes():
    found = run(draft="same-tokens", approximate=("speckv(keep=60, window=8, protect=False)",))

    entries = 60 + 1  # the last prompt token was read again
    # Growing for that one token left room for some more, which counts as held.
    assert found["kept"]["cache_bytes"] <= (entries + 32) * entry_bytes(TARGET.shape, 8)
    assert found["cost"]["scoring_tokens"] > 0


def test_candidates_share_their_prompt_and_differ():
    found = run(samples=4, temperature=1.0, seed=3)

    assert len(found["candidates"]) == 4
    assert len({candidate["text"] for candidate in found["candidates"]}) > 1
    assert found["answer"] == found["candidates"][0]["text"]
    assert found["cost"]["prompt_tokens"] == found["kept"]["of"]
    assert found["candidates"][0]["text"] == run(temperature=1.0, seed=3)["answer"]


def test_the_text_of_the_token_events_is_the_answer():
    *shown, done = events()

    text = "".join(e.data["text"] for e in shown if e.kind == "token" and not e.data["candidate"])
    assert text == done.data["run"]["answer"]


@pytest.mark.parametrize(
    "method",
    ["snapkv(keep=120, every=4)", "streaming-llm(keep=120, every=4)", "h2o(keep=120, every=4)"],
)
def test_each_sample_drops_entries_as_it_grows(method):
    settings = {"approximate": (method,), "temperature": 1.0, "max_tokens": 20}
    found = run(samples=3, **settings)

    assert found["answer"] == run(**settings)["answer"]
    assert [one["text"] for one in found["candidates"][:2]] == [
        one["text"] for one in run(samples=2, **settings)["candidates"]
    ]


def test_a_stop_string_ends_the_answer():
    full = run(max_tokens=30)["answer"]
    stop = next(c for c in full[2:] if c.isascii())

    cut = run(max_tokens=30, stop=(stop,))

    assert cut["answer"] == full[: full.find(stop)]
    assert cut["finish"] == "stop"
    kept = run(max_tokens=30, stop=(stop,), keep_stop=True)
    assert kept["answer"] == cut["answer"] + stop


def test_an_interruption_keeps_what_there_is():
    stream = session(max_tokens=50).stream(QUESTION, DOCUMENT)
    seen = []
    for event in stream:
        seen.append(event)
        if sum(e.kind == "token" for e in seen) == 3:
            break

    rest = [stream.throw(KeyboardInterrupt), *stream]

    found = rest[-1].data["run"]
    assert found["finish"] == "interrupted"
    assert found["cost"]["output_tokens"] == 3


def test_a_prompt_beyond_the_context_is_refused_with_a_way_out():
    with pytest.raises(PromptTooLongError) as caught:
        run(document=DOCUMENT * 8)

    assert "holds 2,048" in caught.value.message
    assert "truncate(keep=" in caught.value.hint


def test_truncation_makes_a_long_prompt_fit():
    found = run(document=DOCUMENT * 8, approximate=("truncate(keep=400)",))

    assert found["kept"]["prompt_tokens"] == 400
    assert found["kept"]["of"] > 2048


def test_two_evicting_methods_are_refused():
    with pytest.raises(UsageError, match="drop cache entries"):
        run(approximate=("snapkv(keep=100)", "streaming-llm(keep=100)"))


def test_compression_and_eviction_combine():
    found = run(approximate=("truncate(keep=300)", "snapkv(keep=100)"))

    assert found["cost"]["prompt_tokens"] == 300
    assert found["kept"]["cache_bytes"] <= 101 * entry_bytes(TARGET.shape, 8)


def test_the_identifier_names_recipe_and_question():
    base = session().recipe

    assert run()["run"] == run()["run"]
    assert run(seed=1)["run"] != run()["run"]
    assert replace(base, seed=1).identifier != base.identifier


def test_the_events_of_every_sample_hold_its_whole_text():
    *shown, done = events(samples=4, temperature=1.5, stop=("zzz", "e t"), max_tokens=30)

    for number, candidate in enumerate(done.data["run"]["candidates"]):
        mine = [e for e in shown if e.kind == "token" and e.data["candidate"] == number]
        assert "".join(e.data["text"] for e in mine) == candidate["text"]


@pytest.mark.parametrize("last", ["specpc-shallow(keep=120)", "truncate(keep=120)"])
def test_a_method_that_drops_entries_comes_last(last):
    with pytest.raises(UsageError, match=r"snapkv\(keep=0.1\) drops cache entries, but stands"):
        run(approximate=("snapkv(keep=0.1)", last))


def test_a_cache_in_all_its_bits_may_stand_behind_an_eviction():
    behind = run(approximate=("snapkv(keep=120)", "quantised-kv(bits=16)"))
    alone = run(approximate=("snapkv(keep=120)",))
    assert (behind["answer"], behind["kept"]) == (alone["answer"], alone["kept"])


@pytest.mark.parametrize("settings", ["first_layer=50", "first_layer=1, last_layer=1"])
def test_a_span_without_layers_is_refused(settings):
    with pytest.raises(BadParameterError, match="no layer of the draft self is counted"):
        run(approximate=(f"specpc-shallow(keep=120, {settings})",))


def test_the_callers_thread_keeps_its_gradients_between_events():
    stream = session(max_tokens=3).stream(QUESTION, DOCUMENT)

    for _ in stream:
        assert not torch.is_inference_mode_enabled()


def test_a_model_that_rotates_long_texts_otherwise_reads_them_as_it_should():
    scaling = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": [1.5, 2.0, 4.0, 8.0],
        "original_max_position_embeddings": 200,
    }
    changes = {"rope_parameters": scaling, "original_max_position_embeddings": 200}
    stretched = tiny_model("stretched", seed=1, model_type="phi3", **changes)
    assert stretched.shape.context == 200

    def asked(*methods):
        recipe = Recipe(model="stretched", max_tokens=12, approximate=methods)
        built = tuple((name, catalogue.build(name)) for name in recipe.approximate)
        *_, done = Session(recipe, built, stretched, stretched).stream(QUESTION, DOCUMENT)
        return done.data["run"]

    whole, part = asked(), asked("specpc-shallow(keep=120)")

    longer = replace(stretched, network=stretched.network.for_long_texts())
    *_, done = Session(Recipe(max_tokens=12), (), longer, longer).stream(QUESTION, DOCUMENT)
    assert whole["kept"]["of"] > 200
    assert whole["answer"] == done.data["run"]["answer"]
    assert part["kept"]["prompt_tokens"] == 120


def test_a_draft_that_nothing_uses_is_mentioned():
    assert run("same-tokens")["notes"] == (
        "the draft same-tokens is not used: no method asks for one",
    )


def test_a_context_that_cuts_the_answer_short_is_mentioned():
    length = run()["kept"]["of"]
    narrow = tiny_model("narrow", seed=1, max_position_embeddings=length + 3)

    *_, done = Session(Recipe(max_tokens=12), (), narrow, narrow).stream(QUESTION, DOCUMENT)

    found = done.data["run"]
    assert found["cost"]["output_tokens"] == 3
    assert found["notes"] == ("the model's context has room for 3 tokens of the answer",)


def test_settings_are_part_of_the_document():
    assert run(samples=2, temperature=0.5)["settings"] == {
        "max_tokens": 12,
        "temperature": 0.5,
        "samples": 2,
    }


@pytest.mark.parametrize("arguments", [(None,), ("hi", 5), ("hi", {"model": "smollm2"})])
def test_what_is_no_text_or_recipe_is_refused(arguments):
    with pytest.raises(UsageError):
        ask(*arguments)


def test_text_that_is_not_unicode_can_be_asked():
    *_, done = session().stream("caf\udce9?", DOCUMENT)

    assert done.data["run"]["answer"]


@pytest.mark.parametrize("settings", [{}, {"search": "majority-vote(n=2)"}])
def test_notes_on_the_models_files_stand_in_every_run(settings):
    asked = session("other-tokens", approximate=("specpc-shallow(keep=120)",), **settings)
    noted = replace(
        asked,
        target=replace(asked.target, notes=("guessed",)),
        draft=replace(asked.draft, notes=("weights are bf16",)),
    )

    *before, done = noted.stream(QUESTION, DOCUMENT)

    notes = done.data["run"]["notes"]
    assert list(notes[:2]) == ["guessed", "draft foreign: weights are bf16"]
    told = [event.data["text"] for event in before if event.kind == "note"]
    assert settings or told[:2] == list(notes[:2])


def test_a_run_that_is_closed_amid_its_tokens_is_dropped_at_once(monkeypatch):
    released, release = [], LocalBackend.release

    def counted(self, run):
        release(self, run)
        released.append((run, self.scheduler.idle, dict(self.runs)))

    monkeypatch.setattr(LocalBackend, "release", counted)
    stream = session(max_tokens=50).stream(QUESTION, DOCUMENT)
    while next(stream).kind != "token":
        pass
    stream.close()

    ((_, idle, runs),) = released
    assert (idle, runs) == (True, {})
    assert not torch.is_inference_mode_enabled()
