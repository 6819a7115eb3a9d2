"""Bugs of caches themselves: memory, masks, layers, and copies that a choice is tried on."""

from tests.planted.bug import Bug

CACHE_BUGS = (
    Bug(
        name="sequences that are attended to in one call see each other",
        seen_in="packed batches without a mask by sequence",
        file="engine/attention/masked_batch.py",
        old="seen[row, start:stop] = True",
        new="seen[row] = True",
        test="tests/engine/attention/test_masked_batch.py::"
        "test_every_row_attends_to_its_own_entries_and_no_others",
    ),
    Bug(
        name="heads of keys take the room of all heads of queries",
        seen_in="SnapKV #16 and #29, KVCache-Factory #49 and #53",
        file="engine/cache/blocks.py",
        old="new = like.new_empty((like.shape[1], room, like.shape[2]))",
        new="new = like.new_empty((like.shape[1], 4 * room, like.shape[2]))",
        test="tests/sessions/test_session.py::test_a_cache_of_a_tenth_is_a_tenth_of_the_bytes",
    ),
    Bug(
        name="a shorter view hides what was dropped",
        seen_in="kvpress #7, KVzip and AdaKV there",
        file="engine/cache/blocks.py",
        old="return entries.gather(1, where[..., None].expand(-1, -1, entries.shape[-1]))",
        new=(
            "kept = entries.gather(1, where[..., None].expand(-1, -1, entries.shape[-1]))\n"
            "    return torch.cat([kept, entries], 1)[:, : indices.shape[1]]"
        ),
        test="tests/engine/cache/test_sequence_cache.py::test_memory_falls_when_entries_are_dropped",
    ),
    Bug(
        name="what is dropped is held elsewhere, uncounted",
        seen_in="ThinK #5, memory that is saved on paper",
        file="engine/cache/segment.py",
        old="        self.layers[layer] = self.subset(layer, indices)\n",
        new=(
            '        self.hidden = [*getattr(self, "hidden", []), self.layers[layer]]\n'
            "        self.layers[layer] = self.subset(layer, indices)\n"
        ),
        test="tests/engine/cache/test_sequence_cache.py::test_nothing_holds_on_to_what_was_dropped",
    ),
    Bug(
        name="later questions go without a choice of their own",
        seen_in="SnapKV #18, the first turn's entries",
        file="sessions/conversation.py",
        old=(
            "(method.evicts() and not method.sees_whole_cache() and not method.needs_all_queries())"
        ),
        new="(not method.evicts())",
        test="tests/sessions/test_conversation.py::test_each_turn_cuts_the_cache_to_its_budget_again",
    ),
    Bug(
        name="a falling line of budgets sums to more than the budget",
        seen_in="PyramidKV, integer schedule",
        file="numerics/apportionment.py",
        old="budgets = [high + (-layer * drop) // (layers - 1) for layer in range(layers)]",
        new="budgets = [high - layer * (drop // (layers - 1)) for layer in range(layers)]",
        test=(
            "tests/methods/kv_eviction/test_allocation.py::"
            "test_a_falling_line_spends_exactly_its_budget_and_never_rises"
        ),
    ),
    Bug(
        name="a budget of half the prompt and more is the same for every layer",
        seen_in="PyramidKV, middle regime is SnapKV",
        file="numerics/apportionment.py",
        old="if layers == 1 or cap <= mean:",
        new="if layers == 1 or cap < 2 * mean:",
        test=(
            "tests/methods/kv_eviction/test_pyramidkv.py::"
            "test_each_layer_keeps_the_best_of_its_own_budget"
        ),
    ),
    Bug(
        name="rounding leaves a layer's heads beside its budget",
        seen_in="AdaKV, caps of heads",
        file="numerics/apportionment.py",
        old="    _hand_out(shares, min(total, sum(caps)), caps, order)\n",
        new="    del order\n",
        test=(
            "tests/methods/kv_eviction/test_allocation.py::"
            "test_apportioned_shares_sum_to_the_total_or_to_all_caps"
        ),
    ),
    Bug(
        name="a ragged layer tells the length of its first head",
        seen_in="AdaKV, a length call that returns 1",
        file="engine/cache/blocks.py",
        old="return sum(block.length for block in self._blocks) / len(self._blocks)",
        new="return self._blocks[0].length",
        test="tests/engine/cache/test_ragged.py::test_heads_keep_what_each_was_told_and_memory_falls",
    ),
    Bug(
        name="written queries are masked as if they were the prompt's last",
        seen_in="LAQ, square mask over the last keys",
        file="prefill/full_cache.py",
        old=", queries_beyond=len(queries)",
        new="",
        test=(
            "tests/prefill/test_full_cache.py::"
            "test_written_tokens_attend_to_all_of_the_prompt_from_behind_it"
        ),
    ),
    Bug(
        name="what is written on trial goes into the whole cache too",
        seen_in="LAQ, two caches that alias",
        file="prefill/full_cache.py",
        old="copy = self.cache.subset(kept)",
        new="copy = self.cache",
        test="tests/prefill/test_full_cache.py::test_what_is_written_on_trial_leaves_no_trace",
    ),
    Bug(
        name="other dimensions turn than the first",
        seen_in="expected attention, partial rotary",
        file="models/decoder/rope.py",
        old="heads[..., :size]",
        new="heads[..., -size:]",
        test="tests/models/decoder/test_rope.py::test_dimensions_beyond_the_rotated_ones_pass_unchanged",
    ),
    Bug(
        name="attention over the whole cache scores what is repeated",
        seen_in="KVzip ports, full softmax",
        file="methods/kv_eviction/importance/reconstruction.py",
        old="[*sinks, *part, *range(entries - repeating, entries)], device=view.keys.device",
        new=(
            "[*sinks, *part, *(e for e in range(entries) if e not in sinks and e not in part)],\n"
            "            device=view.keys.device,"
        ),
        test=(
            "tests/methods/kv_eviction/test_kvzip.py::"
            "test_scores_are_the_most_attention_while_a_chunk_is_repeated"
        ),
    ),
    Bug(
        name="a last short chunk is read past the text",
        seen_in="KVzip, masks of the last chunk",
        file="methods/kv_eviction/importance/reconstruction.py",
        old="part = range(start, min(start + self.chunk, last))",
        new="part = range(start, min(start + self.chunk, len(cache.prompt)))",
        test=(
            "tests/methods/kv_eviction/test_kvzip.py::"
            "test_every_entry_of_the_text_is_scored_once_and_no_other"
        ),
    ),
    Bug(
        name="the template before the text is worth nothing and goes first",
        seen_in="kvpress, KVzip with a long prefix",
        file="methods/kv_eviction/_repeating.py",
        old="return Eviction(self, importance",
        new='return Eviction(type(self)(**{**vars(self), "protect": False}), importance',
        test=(
            "tests/methods/kv_eviction/test_kvzip.py::"
            "test_a_long_template_before_the_text_stays_though_it_scores_nothing"
        ),
    ),
    Bug(
        name="a window counts entries, not positions",
        seen_in="models with sliding windows under eviction",
        file="engine/attention/prefill.py",
        old="far = self.query_positions[queries].view(1, -1, 1, 1) - where >= self.window",
        new=(
            "where = torch.arange(keys.start, keys.stop).expand_as(where)\n"
            "        far = self.query_positions[queries].view(1, -1, 1, 1) - where >= self.window"
        ),
        test=(
            "tests/engine/attention/test_prefill.py::"
            "test_a_window_hides_what_is_too_old_by_position_not_by_index"
        ),
    ),
    Bug(
        name="later queries are masked as the first of the text",
        seen_in="torch's fused kernel without a mask, more keys than queries",
        file="engine/attention/prefill.py",
        old="newest = entries - length + block.stop",
        new="newest = block.stop",
        test="tests/engine/cache/test_sequence_cache.py::test_reading_in_pieces_equals_reading_at_once",
    ),
    Bug(
        name="equal scores go to whichever the sort puts first",
        seen_in="SpecKV and SpecPC, plateaus under topk",
        file="methods/kv_eviction/_eviction.py",
        old="ranked = scores.sort(dim=-1, descending=True, stable=True).indices",
        new=(
            "ranked = scores.flip(-1).sort(dim=-1, descending=True, stable=True).indices\n"
            "    ranked = scores.shape[-1] - 1 - ranked"
        ),
        test="tests/methods/kv_eviction/test_evict.py::test_equal_scores_go_to_the_lower_index",
    ),
    Bug(
        name="an answer has to be gone on from its whole prompt",
        seen_in="probabilistic-inference-scaling, prefix caching off",
        file="backends/local/local.py",
        old="piece.candidate = run.caches.get(request.place)",
        new="piece.candidate = None",
        test=(
            "tests/backends/local/test_next_tokens.py::"
            "test_one_beam_is_greedy_token_for_token_and_costs_as_much"
        ),
    ),
    Bug(
        name="bytes are counted for all heads of queries",
        seen_in="LLM-Viewer #12, grouped heads",
        file="cost/flops.py",
        old="return sum(2 * layer.kv_heads * layer.head_dim * itemsize for layer in shape.layers)",
        new="return sum(2 * layer.heads * layer.head_dim * itemsize for layer in shape.layers)",
        test="tests/prefill/test_byte_budgets.py::test_what_is_held_fits_in_the_bytes",
    ),
)
