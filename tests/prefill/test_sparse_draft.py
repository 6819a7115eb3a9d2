"""Drafts with sparse prefill: which scores they give, and what they share."""

from dataclasses import replace

import pytest
import torch

from forethought.contracts.errors import UsageError
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.engine.meter import Meter
from forethought.methods.prompt_compression.specpc import SpecPC
from forethought.methods.sparse_prefill.flash_prefill import FlashPrefill
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.plan import plan
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET, run

DRAFT = DRAFTS["same-tokens"]
SPARSE = FlashPrefill(
    alpha=1.0, block=16, sinks=0, window=1, last_rows=0, dense_layers=0, applies_to="draft"
)
SPELT = "flash-prefill(alpha=1.0,block=16,sinks=0,window=1,last_rows=0,dense_layers=0,{})"
PROMPT = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)


def draft_with(sparse, **settings):
    return ModelDraft(DRAFT, TARGET, Meter(lambda: 0.0), sparse=sparse, **settings)


def rows_of(draft):
    """The last query's attention in every layer."""
    found = []
    draft.read(PROMPT, lambda view: found.extend(view.window_rows(1)))
    return torch.stack([rows.amax((0, 1, 2)) for rows in found])


def test_a_sparse_draft_scores_otherwise_and_costs_less():
    exact, sparse = draft_with(None), draft_with(SPARSE)

    assert not torch.allclose(rows_of(sparse), rows_of(exact))
    assert sparse.meter.flops < exact.meter.flops


def test_at_alpha_0_a_draft_scores_as_without_the_method():
    off = draft_with(replace(SPARSE, alpha=0.0))

    assert torch.equal(rows_of(off), rows_of(draft_with(None)))


def test_sparse_and_exact_drafts_of_one_prompt_share_no_results():
    results, reuse = {}, PrefillReuse(PrefixCache(1 << 24), PrefillMemo())
    for shared in ({"results": results}, {"reuse": reuse}):
        found = [
            draft_with(sparse, **shared).recall("scores", PROMPT, lambda made=made: made)
            for sparse, made in ((None, 1), (SPARSE, 2), (None, 3), (SPARSE, 4))
        ]
        assert found == [1, 2, 1, 2]


def test_entries_of_a_sparse_draft_are_not_shared():
    reuse = PrefillReuse(PrefixCache(1 << 24), PrefillMemo())

    rows_of(draft_with(SPARSE, reuse=reuse))
    exact = draft_with(None, reuse=reuse)

    assert torch.equal(rows_of(exact), rows_of(draft_with(None)))
    assert exact.meter.tokens["draft"] == len(PROMPT)


def test_the_target_reads_exactly_unless_it_is_named():
    methods = [("specpc", SpecPC(keep=60)), ("flash-prefill", SPARSE)]

    for applies_to, thinned in (("draft", False), ("both", True)):
        methods[1] = ("flash-prefill", replace(SPARSE, applies_to=applies_to))
        chosen = plan(methods, PROMPT, draft_with(SPARSE))
        assert (chosen.sparse_prefill is not None) is thinned
        assert chosen.exact is not thinned


def test_without_a_draft_the_method_is_skipped_with_a_note():
    chosen = plan([("flash-prefill", SPARSE)], PROMPT, draft_with(SPARSE))

    assert chosen.applied == ()
    assert "flash-prefill skipped: no other method runs a draft" in chosen.notes


def test_two_methods_for_one_draft_are_refused():
    methods = [("specpc", SpecPC(keep=60)), ("a", SPARSE), ("b", SPARSE)]

    with pytest.raises(UsageError, match="two methods of one recipe thin the draft"):
        plan(methods, PROMPT, draft_with(SPARSE))


def test_a_recipe_with_a_sparse_draft_spends_less_on_it():
    recipe = ("spec-prefill(keep=60)", SPELT.format("applies_to=draft"))

    sparse = run("same-tokens", approximate=recipe)
    exact = run("same-tokens", approximate=recipe[:1])

    assert sparse["cost"]["draft_tokens"] == exact["cost"]["draft_tokens"]
    assert sparse["cost"]["flops"] < exact["cost"]["flops"]
