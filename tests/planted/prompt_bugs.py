"""Bugs of prompts that are shortened before they are read."""

from tests.planted.bug import Bug

PROMPT_BUGS = (
    Bug(
        name="a prompt shorter than the window breaks the choice",
        seen_in="SpecPC, short prompts",
        file="numerics/importance.py",
        old="self._weights(min(self.window, length))",
        new="self._weights(1 + range(length)[self.window - 1])",
        test=(
            "tests/methods/prompt_compression/test_specpc.py::"
            "test_a_prompt_shorter_than_the_window_works"
        ),
    ),
    Bug(
        name="a window of one query weighs nothing",
        seen_in="SpecPC, weights of a single query",
        file="numerics/importance.py",
        old="if self.weighted and window > 1 else",
        new="if self.weighted else",
        test=(
            "tests/methods/prompt_compression/test_specpc.py::"
            "test_a_window_of_one_query_still_scores"
        ),
    ),
    Bug(
        name="the draft runs though nothing would be dropped",
        seen_in="SpecPC, forced look-ahead",
        file="methods/prompt_compression/_draft_attention.py",
        old="        if not self.pays(len(prompt)):\n            return prompt\n",
        new="",
        test=(
            "tests/methods/prompt_compression/test_specpc.py::"
            "test_a_budget_of_the_whole_prompt_runs_no_draft_and_drops_nothing"
        ),
    ),
    Bug(
        name="a draft of too few layers breaks in the middle",
        seen_in="SpecPC, drafts below the first layer",
        file="numerics/prompt_choice.py",
        old="if first >= last:",
        new="if first > last + len(prompt):",
        test="tests/sessions/test_session.py::test_a_span_without_layers_is_refused",
    ),
    Bug(
        name="template, first token and question may be dropped from the prompt",
        seen_in="SpecPC and SpecKV-PC, unprotected markers",
        file="numerics/prompt_choice.py",
        old="return prompt.protected if self.protect else frozenset()",
        new="return frozenset()",
        test=(
            "tests/methods/prompt_compression/test_specpc.py::"
            "test_protected_tokens_stay_and_need_room"
        ),
    ),
    Bug(
        name="a choice for one question serves for others",
        seen_in="SpecPC, prompts reused for another question",
        file="prefill/draft_model.py",
        old="key = (what, self.sparse, self.name, self.target.name, prompt.tokens, prompt.text)",
        new="key = (what, self.sparse, self.name, self.target.name)",
        test=(
            "tests/prefill/test_draft_model.py::test_what_was_found_is_recalled_for_the_same_prompt_alone"
        ),
    ),
    Bug(
        name="on a plateau the later tokens are taken",
        seen_in="SpecPC, order of equal scores",
        file="numerics/importance.py",
        old='candidates = np.argsort(-scores, kind="stable")[:budget]',
        new='candidates = np.argsort(scores, kind="stable")[::-1][:budget]',
        test=(
            "tests/methods/prompt_compression/test_specpc.py::"
            "test_on_a_plateau_the_earlier_tokens_are_taken"
        ),
    ),
    Bug(
        name="text that must stay is deleted by words",
        seen_in="LLMLingua-2, template and question",
        file="methods/prompt_compression/_room.py",
        old="protected = prompt.protected if protect else frozenset()",
        new="protected: frozenset[int] = frozenset()",
        test=(
            "tests/methods/prompt_compression/test_spec_prefill.py::"
            "test_protected_tokens_stay_and_need_room"
        ),
    ),
    Bug(
        name="a budget is counted in the classifier's tokens",
        seen_in="LLMLingua-2, another tokenizer's counts",
        file="methods/prompt_compression/llmlingua2.py",
        old="np.array([len(word) for word in held])",
        new="sizes",
        test=(
            "tests/methods/prompt_compression/test_llmlingua2.py::"
            "test_the_choice_equals_the_published_steps_at_the_highest_rate_that_fits"
        ),
    ),
    Bug(
        name="the tokens around a text are unknown to the classifier",
        seen_in="LLMLingua-2, special tokens of another vocabulary",
        file="models/encoders/token_classifier.py",
        old="first, last = self._ends",
        new="first = last = 0",
        test="tests/models/encoders/test_encoder_labels.py::test_chances_equal_those_of_transformers",
    ),
    Bug(
        name="parts of a long text overlap",
        seen_in="CPC, end of a slice",
        file="methods/prompt_compression/_words.py",
        old="        yield slice(start, stop)\n",
        new="        yield slice(start, min(stop + 1, count))\n",
        test=(
            "tests/methods/prompt_compression/test_llmlingua2.py::"
            "test_the_choice_equals_the_published_steps_at_the_highest_rate_that_fits"
        ),
    ),
    Bug(
        name="parts of a long sentence are cut where the next begins",
        seen_in="CPC, sentences beyond the encoder's limit",
        file="numerics/sentences.py",
        old="        yield start, cut\n        start = cut\n",
        new="        yield start, cut\n        start = cut + 1\n",
        test=(
            "tests/methods/prompt_compression/test_bm25.py::"
            "test_a_text_without_sentence_ends_is_cut_at_spaces_or_else_anywhere"
        ),
    ),
    Bug(
        name="the last sentence taken exceeds the budget",
        seen_in="CPC, greedy choice",
        file="methods/prompt_compression/_retrieval.py",
        old="if len(chosen) + len(sentence.tokens) <= room.count:",
        new="if len(chosen) <= room.count:",
        test=(
            "tests/methods/prompt_compression/test_bm25.py::"
            "test_no_budget_is_exceeded_and_sentences_stay_whole"
        ),
    ),
    Bug(
        name="whole chunks are kept beyond the budget",
        seen_in="SpecPrefill, rounding up on short prompts",
        file="methods/prompt_compression/spec_prefill.py",
        old="if i not in room.protected][: room.count]",
        new="if i not in room.protected][: -(-room.count // self.chunk) * self.chunk]",
        test=(
            "tests/methods/prompt_compression/test_spec_prefill.py::"
            "test_a_budget_is_filled_and_never_exceeded"
        ),
    ),
    Bug(
        name="kept tokens move together though they should stay in place",
        seen_in="SpecPrefill ports, positions",
        file="methods/prompt_compression/spec_prefill.py",
        old="return prompt.keep_in_place(kept) if self.in_place else prompt.keep(kept)",
        new="return prompt.keep(kept)",
        test=(
            "tests/methods/prompt_compression/test_spec_prefill.py::"
            "test_tokens_stay_at_their_positions_and_the_answer_starts_behind_the_whole_prompt"
        ),
    ),
    Bug(
        name="written tokens take a share of the prompt's attention",
        seen_in="SpecPrefill ports, softmax over all keys",
        file="methods/prompt_compression/_query_scores.py",
        old="seen = row / row.sum(-1, keepdim=True).clamp_min(1e-30)",
        new="seen = row.clamp_min(1e-30)",
        test=(
            "tests/methods/prompt_compression/test_spec_prefill.py::"
            "test_scores_are_of_attention_among_the_prompts_tokens_alone"
        ),
    ),
    Bug(
        name="a prompt of plain text begins without its first token",
        seen_in="KVCache-Factory #12 and #46, chat templates",
        file="models/chat/messages.py",
        old="if not template and tokenizer.add_bos",
        new="if template and tokenizer.add_bos",
        test=(
            "tests/models/chat/test_prompt.py::test_a_base_model_gets_plain_text_after_its_beginning_token"
        ),
    ),
    Bug(
        name="a text's own control tokens count as the template's",
        seen_in="KVCache-Factory #12 and #46, chat templates",
        file="models/chat/messages.py",
        old=(
            "tokens, spans = tokenizer.encode_with_spans(layout.text, layout.trusted)\n"
            "    if not template"
        ),
        new=(
            "tokens, spans = tokenizer.encode_with_spans(layout.text, ((0, len(layout.text)),))\n"
            "    if not template"
        ),
        test="tests/models/chat/test_prompt.py::test_a_user_cannot_type_control_tokens",
    ),
    Bug(
        name="strings of a tool's schema count as the template's text",
        seen_in="chat servers that render templates and tokenize the whole text",
        file="models/chat/conversation_forms.py",
        old="return text if _PLAIN.fullmatch(text) and text not in control else add_quoted(text)",
        new="return text",
        test=(
            "tests/models/chat/test_messages.py::"
            "test_no_text_of_a_conversation_becomes_a_control_token"
        ),
    ),
    Bug(
        name="the confidence of a choice is its probability",
        seen_in="decider and simple-jev, servers of typed decisions",
        file="sessions/decisions.py",
        old="max(0.0, (max(self.probabilities) - even) / (1 - even))",
        new="max(self.probabilities)",
        test="tests/sessions/test_decisions.py::test_confidences_at_their_ends",
    ),
)
