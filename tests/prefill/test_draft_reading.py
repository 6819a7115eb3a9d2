"""One pass of a draft for many recipes shows each the bits of a pass of its own."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
import torch

from forethought import catalogue
from forethought.engine.batch import Batch
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.draft_reading import ReadingPart
from forethought.prefill.planned_reading import PlannedReading, share_readings
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch import Answers, BatchQuestion
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET, session
from tests.tiny_model import tiny_model

COARSE = tiny_model("coarse", seed=5, num_hidden_layers=4, dtype=torch.bfloat16)
PROMPT = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, document=DOCUMENT)
ANSWER = 12
METHODS = (
    "specpc(keep=120, first_layer=1)",
    "specpc(keep=120, first_layer=1, window=16, kernel=9)",
    "specpc(keep=150, first_layer=0, last_layer=1, weighted=false, reduction=mean)",
    "specpc-shallow(keep=120)",
    "specpc-fused(keep=120, lookahead=5)",
    "spec-prefill(keep=120, lookahead=3)",
    "spec-prefill(keep=120, lookahead=1, rotary=false)",
    "speckv(keep=120, lookahead=4)",
)
"""They differ in window, depth, reduction, pool, budget and look-ahead."""


def chosen(model, texts, *, shared):
    """For each method, the prompt that it leaves, and the meter of its draft."""
    found = []
    methods = [catalogue.build(text) for text in texts]
    drafts = [ModelDraft(model, TARGET, Meter(itertools.count().__next__)) for _ in texts]
    pairs = list(zip(methods, drafts, strict=True))
    if shared:
        share_readings([PlannedReading.of(*pair, PROMPT, ANSWER) for pair in pairs])
    for method, draft in pairs:
        found.append((method.on_prompt(PROMPT, draft, ANSWER), draft.meter))
    return found


@pytest.mark.parametrize("model", [*DRAFTS.values(), COARSE], ids=lambda model: model.name)
def test_every_method_chooses_and_is_charged_as_alone(model):
    alone, together = (chosen(model, METHODS, shared=shared) for shared in (False, True))

    for text, (prompt, meter), (found, spent) in zip(METHODS, alone, together, strict=True):
        assert found == prompt, text
        for name in ("flops", "bytes_moved", "tokens", "peak_cache_bytes"):
            assert getattr(spent, name) == getattr(meter, name), (text, name)


@pytest.mark.parametrize("model", [DRAFTS["same-tokens"], COARSE], ids=lambda model: model.name)
@pytest.mark.parametrize("part", [(1, 0, 16), (2, 0, None), (9, 3, 64), (9, 6, 1)], ids=str)
def test_queries_and_entries_of_a_part_are_the_same_bits(model, part):
    layers, lookahead, queries = part
    alone, together = ([], [])
    own, other = (ModelDraft(model, TARGET, Meter(lambda: 0.0)) for _ in range(2))
    every = other.input_of(PROMPT, None, 6)
    other.readings[other.reading_key(every)] = other.reading(
        every, ReadingPart(every.layers, 6, None)
    )

    for draft, views in ((own, alone), (other, together)):
        draft.read(
            PROMPT,
            lambda view, views=views: views.append((view.layer, view.queries, view.keys)),
            layers=layers,
            lookahead=lookahead,
            queries=queries,
        )

    assert len(alone) == len(together)
    for (layer, asked, keys), (at, shown, entries) in zip(alone, together, strict=True):
        assert (layer, len(keys[0])) == (at, len(entries[0]))
        newest = min(len(asked), len(shown))
        assert torch.equal(asked[-newest:], shown[-newest:])
        assert torch.equal(keys, entries)


def test_a_part_beyond_the_shared_one_has_a_pass_of_its_own(prefills):
    draft = ModelDraft(DRAFTS["same-tokens"], TARGET, Meter(lambda: 0.0))
    given = draft.input_of(PROMPT, 1, 0)
    draft.readings[draft.reading_key(given)] = draft.reading(given, ReadingPart(1, 0, 8))

    for layers, queries in ((1, 8), (1, 4), (2, 8), (1, 9)):
        draft.read(PROMPT, lambda view: None, layers=layers, queries=queries)

    assert sum(prefills.values()) == 3


@pytest.fixture
def prefills(monkeypatch):
    """Counts the whole prefills of each network."""
    counts = Counter()
    whole = Batch.prefill_whole

    def counted(self, *given, **more):
        counts[id(self.network)] += 1
        return whole(self, *given, **more)

    monkeypatch.setattr(Batch, "prefill_whole", counted)
    return counts


def test_a_comparison_reads_the_draft_once_for_eight_recipes(prefills):
    models = {"target": TARGET, **DRAFTS}
    draft = DRAFTS["same-tokens"]
    plain = Recipe(model="target", draft="same-tokens", max_tokens=ANSWER)
    recipes = [replace(plain, approximate=(text,)) for text in METHODS]
    answers = Answers(lambda name, weights: models[name], clock=itertools.count().__next__)

    found = {
        one.place: one.run
        for one in answers.answer([BatchQuestion(one, QUESTION, DOCUMENT) for one in recipes])
    }

    networks = {id(draft.network), id(draft.network.for_scores())}
    assert sum(prefills[network] for network in networks) == 1
    for place, recipe in enumerate(recipes):
        *_, done = session("same-tokens", approximate=recipe.approximate).stream(QUESTION, DOCUMENT)
        expected, own = done.data["run"], found[place].document()
        assert own["kept"] == expected["kept"]
        for name in ("draft_tokens", "flops", "bytes_moved", "peak_cache_bytes"):
            assert own["cost"][name] == expected["cost"][name], (recipe.spelling, name)
