"""Bugs of what is asked of servers, and of what is understood of their answers."""

from tests.planted.bug import Bug

SERVER_BUGS = (
    Bug(
        name="what a judge reads is not part of the usage",
        seen_in="optillm, prompt tokens of ratings",
        file="backends/openai/verdicts.py",
        old="self.spent = self.spent.plus(self._cost(question, reply))",
        new="pass",
        test=(
            "tests/driver/test_judges.py::"
            "test_the_answer_that_the_judge_likes_is_found_and_every_verdict_is_charged"
        ),
    ),
    Bug(
        name="a prompt that was sent again is paid again",
        seen_in="its_hub, retries",
        file="backends/openai/completions.py",
        old="return drafts.plus(cost_of(self.connection.price, *self._prompt_tokens(), tokens))",
        new=(
            "prompt, cached = self._prompt_tokens()\n"
            "        prompt *= 1 + self.prompts\n"
            "        return drafts.plus(cost_of(self.connection.price, prompt, cached, tokens))"
        ),
        test=(
            "tests/backends/openai/test_faults.py::"
            "test_a_broken_answer_is_gone_on_from_and_no_token_is_paid_twice"
        ),
    ),
    Bug(
        name="hidden thinking is free",
        seen_in="providers that hide reasoning tokens",
        file="backends/openai/streamed_reply.py",
        old='size = len((self.text + self.hidden).encode("utf-8", "surrogatepass"))',
        new='size = len(self.text.encode("utf-8", "surrogatepass"))',
        test=(
            "tests/backends/openai/test_promises.py::"
            "test_what_a_model_thinks_is_paid_for_and_no_part_of_its_answer"
        ),
    ),
    Bug(
        name="a server draws all candidates with one seed",
        seen_in="large language monkeys, correlated samples",
        file="backends/openai/protocol.py",
        old="named = repr((request.seed, request.stream, request.parent.tokens))",
        new="named = repr((request.seed, request.parent.tokens))",
        test=(
            "tests/backends/openai/test_backend.py::test_seeds_change_what_is_drawn_with_seed_stream_and_place"
        ),
    ),
    Bug(
        name="a rating that failed is a score of 0",
        seen_in="optillm, failed ratings",
        file="backends/openai/verdicts.py",
        old=(
            "        if found is None:\n            raise RemoteError(\n"
            '                f"{self.connection.capabilities.model} replied'
        ),
        new=(
            "        if found is None:\n            return (0.0,) * len(self.request.choices)\n"
            "            raise RemoteError(\n"
            '                f"{self.connection.capabilities.model} replied'
        ),
        test=(
            "tests/driver/test_judges.py::test_a_reply_that_is_no_verdict_is_an_error_and_no_score"
        ),
    ),
    Bug(
        name="a broken answer is taken for a whole one",
        seen_in="optillm, errors returned as answers",
        file="backends/openai/streamed_reply.py",
        old='return self.finish not in ("", "broken")',
        new='return self.finish != ""',
        test=(
            "tests/backends/openai/test_faults.py::"
            "test_a_broken_answer_is_gone_on_from_and_no_token_is_paid_twice"
        ),
    ),
    Bug(
        name="a server's Yes with a space, or in small letters, is no Yes",
        seen_in="adaptive compute, tokens of Yes and No",
        file="backends/openai/protocol.py",
        old="word = token.strip().lower()",
        new="word = token",
        test=(
            "tests/backends/openai/test_backend.py::"
            "test_verdicts_are_the_chances_of_the_choices_among_themselves"
        ),
    ),
    Bug(
        name="the end of a step that the server cut off is lost",
        seen_in="search-and-learn, stripped stop strings",
        file="backends/openai/completions.py",
        old='text += "" if text.endswith(delimiter) else delimiter',
        new='text += ""',
        test=(
            "tests/backends/openai/test_backend.py::"
            "test_steps_are_those_of_the_law_however_the_server_tells_of_their_ends"
        ),
    ),
    Bug(
        name="a beginning is sent as a message that ended",
        seen_in="search-and-learn, chat template of a continued message",
        file="backends/openai/protocol.py",
        old='going_on = {"continue_final_message": True, "add_generation_prompt": False}',
        new="going_on: Body = {}",
        test=(
            "tests/backends/openai/test_promises.py::"
            "test_a_beginning_is_sent_as_one_that_goes_on_and_nothing_else_is"
        ),
    ),
    Bug(
        name="the stop texts are forgotten",
        seen_in="large language monkeys, stop strings on the command line",
        file="backends/openai/completions.py",
        old="self.connection.params.stop, keep",
        new="(), keep",
        test="tests/backends/openai/test_backend.py::test_texts_that_end_an_answer_are_no_part_of_it",
    ),
    Bug(
        name="filters of the recipe are not sent",
        seen_in="multi-temperature voting, top-p and min-p of the server",
        file="backends/openai/protocol.py",
        old='return {"temperature": chosen, **used}',
        new='return {"temperature": chosen}',
        test="tests/backends/openai/test_backend.py::test_documents_systems_and_settings_are_sent",
    ),
    Bug(
        name="several answers are asked for at once of servers that give one",
        seen_in="optillm, providers without n",
        file="backends/openai/protocol.py",
        old='common: Body = {"model": self.model, "stream": True, self.limit: max_tokens}',
        new='common: Body = {"model": self.model, "stream": True, "n": 2, self.limit: max_tokens}',
        test=(
            "tests/backends/openai/test_promises.py::"
            "test_no_request_asks_for_several_answers_or_forgets_how_they_are_drawn"
        ),
    ),
    Bug(
        name="more requests are on their way than allowed",
        seen_in="optillm PR #245, limits by provider",
        file="backends/openai/concurrency.py",
        old="        await self._slots.acquire()\n        self._in_flight += 1",
        new="        self._in_flight += 1",
        test="tests/backends/openai/test_api.py::test_no_more_are_on_their_way_at_once_than_allowed",
    ),
    Bug(
        name="a verdict that had to be asked for again is paid twice",
        seen_in="its_hub and optillm, retried ratings",
        file="backends/openai/verdicts.py",
        old="self.lost = self.lost.plus(self._priced(question, reply))",
        new="self.spent = self.spent.plus(self._cost(question, reply))",
        test=(
            "tests/driver/test_judges.py::"
            "test_a_verdict_that_had_to_be_asked_for_again_is_charged_once"
        ),
    ),
    Bug(
        name="neither word among the likeliest counts as an even chance",
        seen_in="adaptive compute, remote top tokens",
        file="backends/openai/verdicts.py",
        old='        if found is None:\n            raise RemoteError(\n                f"none of',
        new=(
            "        if found is None:\n"
            "            return (1 / len(self.request.choices),) * len(self.request.choices)\n"
            '            raise RemoteError(\n                f"none of'
        ),
        test=(
            "tests/driver/test_judges.py::test_a_reply_that_is_no_verdict_is_an_error_and_no_score"
        ),
    ),
)
