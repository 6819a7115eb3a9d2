"""Bugs of controls of decoding: penalties, log-probabilities, stop strings, schemas."""

from tests.planted.bug import Bug

CONTROLS = "tests/engine/test_token_controls.py"
LOCAL = "tests/backends/local/test_controls.py"
CONTROL_BUGS = (
    Bug(
        "a presence penalty falls on the tokens of the prompt too",
        "llama.cpp, whose penalties look at the last tokens of prompt and answer alike",
        "engine/token_controls.py",
        "controls.presence_penalty * (counts > 0)",
        "controls.presence_penalty * (counts >= 0)",
        f"{CONTROLS}::test_penalties_count_the_answer_and_not_the_prompt",
    ),
    Bug(
        "log-probabilities are those after the masks",
        "processed_logprobs of vLLM, which is not its default",
        "engine/sampling.py",
        "    found = _measured(logits, token, choice.top, sampling.certainty)",
        "    law = logits if choice.adjusted is None else choice.adjusted\n"
        "    found = _measured(law, token, choice.top, sampling.certainty)",
        f"{CONTROLS}::test_log_probabilities_are_those_of_the_raw_logits",
    ),
    Bug(
        "a stop string ends the answer before its minimum length",
        "min_new_tokens of transformers, which holds back end tokens alone",
        "backends/local/piece.py",
        "early = len(self.sequence.tokens) <= self._min_tokens",
        "early = False",
        f"{LOCAL}::test_a_stop_string_counts_only_after_the_minimum_length",
    ),
    Bug(
        "the reasoning takes all tokens, and none is left for the answer",
        "budgets of reasoning that do not know max_tokens",
        "backends/local/answer_controls.py",
        "limit = min(limit, max(0, room))",
        "limit = min(limit, prompt.answer_tokens)",
        f"{LOCAL}::test_a_budget_leaves_room_for_the_answer",
    ),
    Bug(
        "prompt log-probabilities are shifted by one token",
        "scoring scripts that pair the logits after a token with that token",
        "prefill/prompt_logprobs.py",
        "tokens[start + 1 : stop + 1]",
        "tokens[start:stop]",
        f"{LOCAL}::test_prompt_tokens_have_the_log_probabilities_of_teacher_forcing",
    ),
    Bug(
        "a search forgets the part of the schema that its candidates have written",
        "constrained decoding that begins anew with every piece",
        "backends/local/answer_controls.py",
        "return controls.follow(request.parent.token_ids)",
        "return controls",
        f"{LOCAL}::test_searches_keep_to_the_schema",
    ),
)
