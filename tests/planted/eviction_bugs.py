"""Bugs of what is dropped from a cache, and of where the rest stands."""

from tests.planted.bug import Bug

EVICTION_BUGS = (
    Bug(
        name="a short prompt is drafted for, though nothing would be dropped",
        seen_in="SpecKV, prompts within the budget",
        file="methods/kv_eviction/_eviction.py",
        old="        if not self.pays(len(prompt)):\n            return prompt\n",
        new="",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::test_a_budget_of_the_prompt_runs_no_draft"
        ),
    ),
    Bug(
        name="a window wider than the budget makes a wrong cache without a word",
        seen_in="SpecKV, negative slice",
        file="methods/kv_eviction/_eviction.py",
        old="        if budget > fixed and budget >= fixed + outside:\n            return\n",
        new="        if budget + fixed + outside:\n            return\n",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::"
            "test_a_budget_that_cannot_hold_what_must_stay_is_refused"
        ),
    ),
    Bug(
        name="a window of the whole budget leaves nothing to choose",
        seen_in="SpecKV, window equal to the budget",
        file="methods/kv_eviction/_eviction.py",
        old="if budget > fixed and budget >= fixed + outside:",
        new="if budget >= fixed + outside:",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::"
            "test_a_window_of_the_whole_budget_is_refused"
        ),
    ),
    Bug(
        name="an even kernel is taken, whose own assertion refuses it later",
        seen_in="SpecKV, default kernel of 64",
        file="contracts/parameters.py",
        old='return found or ("" if int(str(value)) % 2 else "must be odd")',
        new="return found",
        test=(
            "tests/methods/kv_eviction/test_snapkv.py::"
            "test_an_even_kernel_is_refused_where_it_is_stated"
        ),
    ),
    Bug(
        name="no first entries are held",
        seen_in="SpecKV, no sinks",
        file="methods/kv_eviction/_eviction.py",
        old="stays = (places < self.sinks) | (places >= end - self._newest(budget))",
        new="stays = places >= end - self._newest(budget)",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::test_streaming_keeps_sinks_and_the_newest"
        ),
    ),
    Bug(
        name="template and question may be dropped from the cache",
        seen_in="SpecKV and SnapKV, the template's markers",
        file="methods/kv_eviction/_eviction.py",
        old="return places if self.method.protect else frozenset()",
        new="return frozenset()",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::"
            "test_protected_entries_stay_within_the_budget"
        ),
    ),
    Bug(
        name="the next token stands at the number of entries held",
        seen_in="SpecKV and StreamingLLM ports, VeloxQuant-MLX #171",
        file="engine/cache/sequence_cache.py",
        old="return self.place(range(self.next, self.next + count))",
        new=(
            "start = int(self.lengths()[0])\n        return self.place(range(start, start + count))"
        ),
        test=(
            "tests/methods/kv_eviction/test_eviction.py::"
            "test_after_speckv_the_last_prompt_token_is_read_again_at_its_true_place"
        ),
    ),
    Bug(
        name="entries stand at their number in the cache, not in the text",
        seen_in="VeloxQuant-MLX #171, stored positions",
        file="engine/cache/segment.py",
        old="return [where[own[: len(own) - unseen]] for own in tokens]",
        new="return [where[: len(own) - unseen] for own in tokens]",
        test=(
            "tests/engine/cache/test_sequence_cache.py::"
            "test_dropped_entries_are_gone_and_the_rest_keep_position_and_value"
        ),
    ),
    Bug(
        name="the guess of the answer stays in the cache",
        seen_in="SpecKV ports, look-ahead entries",
        file="prefill/prefill.py",
        old="cache.truncate(last[0])",
        new="cache.next = last[0]",
        test="tests/prefill/test_prefill.py::test_a_look_ahead_leaves_no_trace",
    ),
    Bug(
        name="the cascade's look-ahead is 20 tokens where none is stated",
        seen_in="SpecKV-PC, the library's default length",
        file="methods/kv_eviction/speckv_pc.py",
        old="rows, guess = choice.read(prompt, draft, self.lookahead or answer_tokens)",
        new="rows, guess = choice.read(prompt, draft, self.lookahead or 20)",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::"
            "test_the_lookahead_is_as_long_as_the_answer_may_be"
        ),
    ),
    Bug(
        name="the cascade's two windows are one",
        seen_in="SpecKV-PC, shared settings",
        file="methods/kv_eviction/speckv_pc.py",
        old="            newest=self.window,\n",
        new="            newest=self.prompt_window,\n",
        test=(
            "tests/methods/kv_eviction/test_eviction.py::"
            "test_the_cascade_drafts_once_and_chooses_as_its_two_stages"
        ),
    ),
    Bug(
        name="only one number ends what a draft writes",
        seen_in="SpecPrefill, end tokens written into the code",
        file="prefill/draft_model.py",
        old="ends=self.model.tokenizer.ends,",
        new="ends=frozenset([-2]),",
        test="tests/prefill/test_draft_model.py::test_a_draft_stops_at_whatever_ends_its_answers",
    ),
    Bug(
        name="the draft's cache is held while the target reads",
        seen_in="llama.cpp PR #27692 and SpecKV-PC, draft never freed",
        file="prefill/draft_model.py",
        old="        hook = LayerHook(tap, length)\n",
        new=(
            "        hook = LayerHook(tap, length)\n"
            "        self.results[cache] = (cache, self.meter)\n"
        ),
        test="tests/prefill/test_draft_model.py::test_a_drafts_cache_is_let_go_once_it_has_written",
    ),
    Bug(
        name="the cache outgrows its budget between two cuts",
        seen_in="kvpress #157, decoding buffers",
        file="methods/kv_eviction/_entries.py",
        old="return keep - every  #",
        new="return keep  #",
        test=(
            "tests/methods/kv_eviction/test_decode_evictions.py::"
            "test_the_budget_is_never_exceeded_while_an_answer_grows"
        ),
    ),
    Bug(
        name="queries are kept without end while an answer grows",
        seen_in="kvpress #157, buffered hidden states",
        file="engine/cache/query_window.py",
        old=(
            "        while len(held) > 1 and sum(map(len, held[1:])) >= self.count:\n"
            "            held.pop(0)\n"
        ),
        new="",
        test="tests/engine/cache/test_query_window.py::test_no_more_is_held_than_was_asked_for_and_a_step",
    ),
    Bug(
        name="heads that hold fewer entries go on with others' sums",
        seen_in="H2O, sums shared over the batch",
        file="methods/kv_eviction/importance/accumulated.py",
        old="return memory.masked_fill(place >= held - added, 0.0)",
        new="return memory",
        test=(
            "tests/methods/kv_eviction/test_h2o.py::"
            "test_heads_of_different_lengths_go_on_with_their_own_sums"
        ),
    ),
    Bug(
        name="sums begin anew at every cut",
        seen_in="H2O, baselines that score the prompt alone",
        file="methods/kv_eviction/importance/accumulated.py",
        old="total[:, :before] += _without_padding(view, view.memory)",
        new="pass",
        test="tests/methods/kv_eviction/test_h2o.py::test_sums_go_on_with_the_queries_since",
    ),
    Bug(
        name="scores see what a query must not",
        seen_in="KVCache-Factory #27, eager mask",
        file="engine/layer_view.py",
        old="hidden = place > newest[..., None]\n",
        new="hidden = place > newest[..., None] + 1\n",
        test="tests/engine/test_layer_view.py::test_window_rows_are_those_of_the_attention",
    ),
    Bug(
        name="filling is scored as if it were entries",
        seen_in="SpecKV and SnapKV, padding in scores",
        file="engine/layer_view.py",
        old="held = torch.tensor([entries]) if self.held is None else self.held.cpu()",
        new="held = torch.tensor([entries])",
        test="tests/engine/cache/test_ragged.py::test_a_view_shows_filling_as_no_entry",
    ),
    Bug(
        name="only the first prompt is cut to its own budgets",
        seen_in="AdaKV, pyramid schedule frozen; KVCache-Factory #15",
        file="methods/kv_eviction/allocation/pyramid.py",
        old=(
            "return falling_budgets(room.layers, room.per_head, self.beta, room.capacity)"
            "[room.layer]"
        ),
        new=(
            'seen = globals().setdefault("_SEEN", [])\n'
            "        seen.append(falling_budgets(room.layers, room.per_head, self.beta, "
            "room.capacity))\n        return seen[0][room.layer]"
        ),
        test=(
            "tests/methods/kv_eviction/test_pyramidkv.py::"
            "test_each_layer_keeps_the_best_of_its_own_budget"
        ),
    ),
)
