"""What a draft with other tokens and another template hands over to its target."""

from __future__ import annotations

import gc
from copy import copy
from dataclasses import replace

import pytest
import torch

from forethought.contracts.errors import PromptTooLongError
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.methods.prompt_compression.truncate import Truncate
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.draft_model import ModelDraft
from tests.tiny_model import TEMPLATE, tiny_model

TARGET = tiny_model("target", seed=1)
FOREIGN = tiny_model("foreign", seed=3, merges=60)
LONG_TEMPLATE = "<s>You are asked: {{ messages[0].content }}</s><s>assistant: "
TRIMMING = "<s>{{ messages[0].content | trim }}</s><s>assistant: "


def draft_with(template, **changes):
    model = replace(FOREIGN, template=template)
    return ModelDraft(replace(model, **changes), TARGET, Meter(lambda: 0.0))


@pytest.mark.parametrize("template", [TEMPLATE, LONG_TEMPLATE, TRIMMING])
@pytest.mark.parametrize("document", ["A tokenizer of merges.", "  \n Bytes, two control tokens. "])
def test_scores_stand_where_their_characters_stand(template, document):
    draft = draft_with(template)
    prompt = chat_prompt(TARGET.tokenizer, TEMPLATE, "What of the tokenizer?", document)
    own = draft.own_prompt(prompt)
    assert len(own) < len(prompt), "the draft's tokens should be longer than the target's"

    for index in range(len(own)):
        scores = torch.zeros(len(own))
        scores[index] = 1.0

        carried = draft.carry(scores, prompt)

        start, stop = own.spans[index]
        inside = own.content[0] <= start < stop <= own.content[1]
        marked = "".join(
            prompt.text[slice(*span)]
            for span, score in zip(prompt.spans, carried, strict=True)
            if score
        )
        assert marked == (own.text[start:stop] if inside else "")


def test_a_token_takes_the_best_score_of_those_that_share_its_characters():
    # Here the target's tokens are the longer ones.
    draft = ModelDraft(TARGET, FOREIGN, Meter(lambda: 0.0))
    prompt = chat_prompt(FOREIGN.tokenizer, TEMPLATE, "What?", "tokenizer tokenizer")
    own = draft.own_prompt(prompt)
    scores = torch.arange(len(own), 0, -1, dtype=torch.float32)  # falling: the first is best

    carried = draft.carry(scores, prompt)

    first, last = prompt.content
    for (start, stop), found in zip(prompt.spans, carried.tolist(), strict=True):
        if first <= start and stop <= last:
            shift = own.content[0] - first
            assert found == scores[[s[0] for s in own.spans].index(start + shift)]


def test_of_tokens_that_share_a_character_the_best_counts():
    # Bytes of one letter each: the letter scores as its best byte, whichever that is.
    draft = ModelDraft(tiny_model("bytes", seed=5), FOREIGN, Meter(lambda: 0.0))
    prompt = chat_prompt(FOREIGN.tokenizer, TEMPLATE, "What?", "Größe")
    own = draft.own_prompt(prompt)
    letter = own.text.index("ö")
    shared = [i for i, span in enumerate(own.spans) if span == (letter, letter + 1)]
    assert len(shared) == 2

    for best in shared:
        scores = torch.zeros(len(own))
        scores[best] = 1.0

        carried = draft.carry(scores, prompt)

        at = prompt.text.index("ö")
        found = [
            score
            for span, score in zip(prompt.spans, carried.tolist(), strict=True)
            if span[0] <= at < span[1]
        ]
        assert found == [1.0] * len(found)
        assert found


def test_after_truncation_another_draft_reads_what_is_left():
    document = "".join(f"Line {n} of the text. " for n in range(30))
    prompt = chat_prompt(TARGET.tokenizer, TEMPLATE, "What?", document)
    cut = Truncate(keep=120).on_prompt(prompt, ModelDraft(TARGET, TARGET, Meter(lambda: 0.0)), 8)
    draft = draft_with(TEMPLATE)

    own = draft.own_prompt(cut)

    left = document[: document.index("Line 3")] + "\n\nWhat?"
    read = own.text[slice(*own.content)]
    assert len(read) < len(document) / 4
    assert read.endswith("What?")
    assert cut.text[slice(*cut.content)] == read
    for index, (start, stop) in enumerate(cut.spans):
        assert cut.text[start:stop] == prompt.text[slice(*prompt.spans[cut.origins[index]])]
    assert read.startswith(left[:20])


def test_a_guess_is_no_longer_than_the_room_behind_the_prompt():
    prompt = chat_prompt(TARGET.tokenizer, TEMPLATE, "What?", "word " * 10)
    tight = tiny_model("tight", seed=1, max_position_embeddings=len(prompt) + 3)

    for model, target in ((tight, TARGET), (TARGET, tight), (tight, tight)):
        draft = ModelDraft(model, target, Meter(lambda: 0.0))
        assert len(draft.read(prompt, lambda view: None, lookahead=20)) == 3


@pytest.mark.parametrize("ended", [True, False])
def test_a_written_answer_is_handed_over_in_the_targets_tokens_with_its_end(ended):
    draft = draft_with(TEMPLATE)
    words = FOREIGN.tokenizer.encode("tokens of merges")
    written = [*words, min(FOREIGN.tokenizer.ends)] if ended else words

    handed = draft._target_tokens(written)

    plain = TARGET.tokenizer.encode("tokens of merges")
    assert handed == ([*plain, min(TARGET.tokenizer.ends)] if ended else plain)


def test_a_prompt_beyond_the_drafts_context_is_refused_by_name():
    small = tiny_model("small", seed=2, max_position_embeddings=64)
    draft = ModelDraft(small, TARGET, Meter(lambda: 0.0))
    prompt = chat_prompt(TARGET.tokenizer, TEMPLATE, "What?", "word " * 40)

    with pytest.raises(PromptTooLongError, match="the draft small holds 64 tokens"):
        draft.read(prompt, lambda view: None, layers=1)


def test_a_draft_goes_the_deeper_the_smaller_it_is_beside_its_target():
    small = tiny_model("small", seed=2, num_hidden_layers=20)
    targets = [tiny_model("large", seed=2, num_hidden_layers=n) for n in (20, 100, 400)]

    def spans(size):
        for model in (small, *targets):
            model.network.shape = replace(model.network.shape, layer_parameters=size)
        return [ModelDraft(small, target, Meter(lambda: 0.0)).layer_span for target in targets]

    assert spans(10**8) == [(7, 8), (8, 10), (8, 12)]
    assert spans(10**6) == [(8, 12)] * 3  # very small ones look for what was asked late


def test_only_a_whole_prefill_of_the_target_itself_keeps_exact_products():
    half = {"dtype": torch.bfloat16}
    target, small = (tiny_model(name, seed=n, **half) for n, name in enumerate(("big", "small")))
    for model in (target, small):
        model.network.eight_bits_win = lambda: True
    prompt = chat_prompt(target.tokenizer, TEMPLATE, "What?", "word " * 10)

    def networks(model, **settings):
        seen = []
        draft = ModelDraft(model, target, Meter(lambda: 0.0))
        draft.read(prompt, lambda view: seen.append(view.network), **settings)
        return set(seen)

    assert networks(target) == networks(target, layers=9, lookahead=2) == {target.network}
    assert networks(target, layers=2) == {target.network.for_scores()}
    assert networks(small, lookahead=2) == {small.network.for_scores()}
    assert small.network.for_scores() is not small.network


@pytest.mark.parametrize("lookahead", [0, 4])
def test_a_drafts_cache_is_let_go_once_it_has_written(lookahead):
    draft = draft_with(TEMPLATE)
    prompt = chat_prompt(TARGET.tokenizer, TEMPLATE, "What?", "word " * 10)
    read: list[int] = []

    def look(view):
        read.append(view.layer)

    def rows():
        gc.collect()
        return sum(type(one) is SequenceCache for one in gc.get_objects())

    before = rows()
    draft.recall("guess", prompt, lambda: draft.read(prompt, look, lookahead=lookahead))
    assert read
    assert rows() == before


def test_what_was_found_is_recalled_for_the_same_prompt_alone():
    draft = draft_with(TEMPLATE)
    asked = [chat_prompt(TARGET.tokenizer, TEMPLATE, f"{what}?", "A word.") for what in "AB"]

    found = [draft.recall("what", prompt, lambda text=prompt.text: text) for prompt in asked * 2]

    assert found == [prompt.text for prompt in asked * 2]
    assert len(draft.results) == 2


def test_a_draft_stops_at_whatever_ends_its_answers():
    prompt = chat_prompt(TARGET.tokenizer, TEMPLATE, "What?", "word " * 10)
    written = ModelDraft(TARGET, TARGET, Meter(lambda: 0.0)).read(prompt, _see, lookahead=8)
    tokenizer = copy(TARGET.tokenizer)
    tokenizer.ends = frozenset({written[3]})

    model = replace(TARGET, tokenizer=tokenizer)
    guess = ModelDraft(model, TARGET, Meter(lambda: 0.0)).read(prompt, _see, lookahead=8)

    assert len(written) == 8
    assert guess == written[: written.index(written[3]) + 1]


def _see(view):
    """Drop nothing."""
