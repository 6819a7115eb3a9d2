"""Bugs of votes, of choices among whole answers, and of revisions."""

from tests.planted.bug import Bug

ANSWER_BUGS = (
    Bug(
        name="a condition with `or` is always true, so one way to choose serves for all",
        seen_in="bag-of-tricks, scorer dispatch; OpenR, task loader",
        file="methods/search/best_of_n.py",
        old='if self.pick == "best":',
        new='if self.pick == "best" or "vote":',
        test=(
            "tests/methods/search/test_best_of_n.py::test_scores_add_up_in_a_vote_and_not_without"
        ),
    ),
    Bug(
        name="a setting of an unknown name is taken for a known one",
        seen_in="bag-of-tricks, unknown scorer names",
        file="contracts/parameters.py",
        old='return "" if value in options else',
        new='return "" if value in options or value else',
        test=(
            "tests/methods/kv_eviction/test_snapkv.py::"
            "test_a_way_of_another_name_is_refused_where_it_is_stated"
        ),
    ),
    Bug(
        name="unknown settings are dropped without a word",
        seen_in="nano-vllm, keyword arguments",
        file="contracts/parameters.py",
        old="    for key in settings:\n",
        new=(
            "    settings = {key: value for key, value in settings.items() if key in known}\n"
            "    for key in settings:\n"
        ),
        test="tests/test_catalogue.py::test_a_value_outside_its_limits_is_refused",
    ),
    Bug(
        name="a strategy changes itself, so that its second run differs",
        seen_in="DSPy, BestOfN counts failures down across calls",
        file="methods/search/best_of_n.py",
        old="        scores: list[float] = []\n",
        new=(
            "        scores: list[float] = []\n"
            '        object.__setattr__(self, "n", max(1, self.n - 1))\n'
        ),
        test=(
            "tests/methods/search/test_best_of_n.py::"
            "test_a_strategy_that_is_used_again_does_the_same_again"
        ),
    ),
    Bug(
        name="scores are stretched to 0 and 1 before they weigh",
        seen_in="bag-of-tricks, weighted majority by min-max",
        file="methods/search/best_of_n.py",
        old="return list(scores) if any(scores) else",
        new=(
            "low, high = min(scores), max(scores)\n"
            "            return [(one - low) / (high - low or 1.0) for one in scores] if "
            "any(scores) else"
        ),
        test=(
            "tests/methods/search/test_best_of_n.py::test_scores_add_up_in_a_vote_and_not_without"
        ),
    ),
    Bug(
        name="numbers that are equal in value are other answers",
        seen_in="self-consistency, answers compared as texts",
        file="tasks/same_answers.py",
        old="if equal(one, result)), len(known))",
        new="if one == result), len(known))",
        test="tests/tasks/test_same_answers.py::test_equal_answers_have_one_number",
    ),
    Bug(
        name="answers are compared under an alarm, which works on the main thread alone",
        seen_in="search-and-learn, SIGALRM around SymPy",
        file="tasks/mathematics/_judge.py",
        old="    if max(len(reference), len(answer)) > _LONGEST:",
        new=(
            '    signal = __import__("signal")\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n'
            "    signal.alarm(5)\n    if max(len(reference), len(answer)) > _LONGEST:"
        ),
        test="tests/methods/search/test_majority_vote.py::test_votes_are_counted_on_any_thread",
    ),
    Bug(
        name="what says nothing wins the vote",
        seen_in="bag-of-tricks, majority of empty answers",
        file="numerics/votes.py",
        old="            if group is not None:\n",
        new="            if group is not None or True:\n",
        test="tests/numerics/test_votes.py::test_who_says_nothing_never_wins",
    ),
    Bug(
        name="votes are weighed by logarithms, so that the unlikelier wins",
        seen_in="self-consistency, weighted votes",
        file="numerics/votes.py",
        old='assert all(weight >= 0 for weight in weights), "a vote counts for nothing or more"',
        new="pass",
        test="tests/numerics/test_votes.py::test_logarithms_of_chances_are_refused_as_weights",
    ),
    Bug(
        name="an answer's weight is its log-probability",
        seen_in="self-consistency, weighted votes",
        file="methods/search/majority_vote.py",
        old="else answer.likelihood",
        new="else answer.mean_log_probability",
        test=(
            "tests/methods/search/test_majority_vote.py::"
            "test_a_likely_answer_outweighs_several_unlikely_ones"
        ),
    ),
    Bug(
        name="texts are weighed by the product of their chances, which vanishes",
        seen_in="RPC, raw sums of log-probabilities",
        file="methods/search/rpc.py",
        old="likely = [one.likelihood for one in answers]",
        new="likely = [float(np.exp(one.log_probability)) for one in answers]",
        test="tests/methods/search/test_rpc.py::test_likelier_answers_win",
    ),
    Bug(
        name="a text that was drawn twice counts twice",
        seen_in="RPC, duplicates in the sum",
        file="methods/search/rpc.py",
        old="found.setdefault(one.text, place)",
        new="found[str(place)] = place",
        test="tests/methods/search/test_rpc.py::test_a_text_that_was_drawn_twice_counts_once",
    ),
    Bug(
        name="the mixture is fitted to the different texts alone",
        seen_in="RPC, our own pruning under the published name",
        file="methods/search/rpc.py",
        old='self._dropped(whole if self.prune_by == "samples" else counted, likely)',
        new="self._dropped(counted, likely)",
        test=(
            "tests/methods/search/test_rpc.py::"
            "test_every_sample_counts_in_the_fit_and_the_mean_as_published"
        ),
    ),
    Bug(
        name="few texts are pruned by a fit of five numbers",
        seen_in="RPC, reasoning pruning of small samples",
        file="methods/search/rpc.py",
        old="if len(fitted) < max(1, self.prune_from):",
        new="if len(fitted) < 2:",
        test="tests/methods/search/test_rpc.py::test_few_texts_are_not_pruned",
    ),
    Bug(
        name="the density of a value of 0 is infinite",
        seen_in="RPC, logarithms of the Weibull density",
        file="numerics/weibull.py",
        old="_LEAST = 1e-300",
        new="_LEAST = 0.0",
        test="tests/numerics/test_weibull.py::test_values_of_0_and_1_do_no_harm",
    ),
    Bug(
        name="log-probabilities are those of the law at the drawn temperature",
        seen_in="RPC, servers that mix temperatures",
        file="engine/sampling.py",
        old="found = _measured(logits, token, choice.top, sampling.certainty)",
        new="found = _measured(logits / (sampling.temperature or 1.0), token, choice.top, False)",
        test=(
            "tests/engine/test_sampling.py::"
            "test_log_probabilities_are_the_models_own_whatever_the_filters"
        ),
    ),
    Bug(
        name="two texts are compared once each way",
        seen_in="RPC, equality cached by ordered pairs",
        file="methods/search/cross_lingual.py",
        old=(
            "if one != other and (one, other) not in found:\n"
            "                found.setdefault((other, one), None)"
        ),
        new="if one != other:\n                found |= {(other, one): None, (one, other): None}",
        test="tests/methods/search/test_cross_lingual.py::test_every_two_texts_are_compared_once",
    ),
    Bug(
        name="the budget is one for each temperature, not for all together",
        seen_in="multi-temperature voting, matched budgets",
        file="methods/search/temperature_vote.py",
        old="each, more = divmod(self.n - len(first), self.temperatures)",
        new="each, more = self.n, 0",
        test=(
            "tests/methods/search/test_temperature_vote.py::"
            "test_the_total_is_the_same_however_many_temperatures"
        ),
    ),
    Bug(
        name="copies of the greedy answer have several votes",
        seen_in="multi-temperature voting, duplicates at 0",
        file="methods/search/temperature_vote.py",
        old="first = [_Arm(0.0, 1)] if self.greedy else []",
        new="first = [_Arm(0.0, self.window)] if self.greedy else []",
        test=(
            "tests/methods/search/test_temperature_vote.py::"
            "test_the_total_is_the_same_however_many_temperatures"
        ),
    ),
    Bug(
        name="answers that say nothing agree with each other and end the draw",
        seen_in="multi-temperature voting, early exit on None",
        file="methods/search/temperature_vote.py",
        old="counts = Counter(group for group in groups if group is not None).most_common(1)",
        new="counts = Counter(-1 if group is None else group for group in groups).most_common(1)",
        test=(
            "tests/methods/search/test_temperature_vote.py::"
            "test_it_never_stops_on_answers_that_say_nothing"
        ),
    ),
    Bug(
        name="a beginning that was judged is begun anew",
        seen_in="adaptive compute, evaluation that changes the sample",
        file="methods/search/_restarts.py",
        old="fresh = yield from write(stay, temperature=temperature)",
        new="fresh = yield from write([start for _ in stay], temperature=temperature)",
        test="tests/methods/search/test_adaptive.py::test_judging_beginnings_changes_no_answer",
    ),
    Bug(
        name="each continuation of a wrong beginning is judged anew",
        seen_in="imperfect verifiers as independent noise",
        file="methods/scoring/noisy_checker.py",
        old="return _words(next(one for one in beginnings if self._is_wrong(question, one)))",
        new="return _words(text)",
        test=(
            "tests/methods/scoring/test_noisy_checker.py::"
            "test_every_continuation_of_a_wrong_beginning_gets_its_verdict"
        ),
    ),
    Bug(
        name="equal answers are judged anew",
        seen_in="imperfect verifiers as independent noise",
        file="methods/scoring/noisy_checker.py",
        old="return self.task.stated(candidate.text) if candidate.done else _words(candidate.text)",
        new="return repr((candidate.path, candidate.text))",
        test=(
            "tests/methods/scoring/test_noisy_checker.py::"
            "test_equal_answers_get_equal_verdicts_wherever_they_come_from"
        ),
    ),
    Bug(
        name="success rates are the shares of few answers",
        seen_in="inference-scaling-limits, c/n plugged in",
        file="evaluation/attempts.py",
        old="rates, shares = law.given(count, right).nodes()",
        new="rates, shares = np.array([right / count]), np.ones(1)",
        test=(
            "tests/evaluation/test_attempts.py::test_drawn_answers_give_it_back_within_its_interval"
        ),
    ),
    Bug(
        name="the evidence is in the language of the prompt",
        seen_in="X-MBR, evidence in English for English prompts",
        file="methods/search/cross_lingual.py",
        old="language = self.language or elsewhere(asked)",
        new='language = self.language or "English"',
        test=(
            "tests/methods/search/test_cross_lingual.py::"
            "test_evidence_comes_from_another_language_than_the_prompt"
        ),
    ),
    Bug(
        name="a question about an answer stays in its cache",
        seen_in="self-evaluation in the middle of an answer",
        file="backends/local/candidate_cache.py",
        old="self.cache.rewind(self.start)",
        new="pass",
        test="tests/backends/local/test_follow_ups.py::test_a_verdict_changes_no_answer",
    ),
    Bug(
        name="the beam shrinks with finished answers though it is to be refilled",
        seen_in="search-and-learn, beam search",
        file="methods/search/beam.py",
        old="size = self.n if self.refill else len(growing)",
        new="size = len(growing)",
        test=(
            "tests/methods/search/test_beam.py::test_with_refill_it_is_the_loop_of_search_and_learn"
        ),
    ),
    Bug(
        name="critics' shares that are all 0 cannot be drawn by",
        seen_in="SPaR, proportional selection",
        file="methods/search/tree_refine.py",
        old="np.array([one.value for one in level]) + 1e-9",
        new="np.array([one.value for one in level])",
        test=(
            "tests/methods/search/test_tree_refine.py::"
            "test_those_drawn_are_different_and_by_their_share_even_where_all_are_0"
        ),
    ),
    Bug(
        name="a verdict is found inside another word",
        seen_in="SPaR, Yes and No by substring",
        file="backends/openai/verdicts.py",
        old="if choice.casefold() == word]",
        new="if choice.casefold() in word]",
        test=(
            "tests/driver/test_judges.py::"
            "test_a_written_verdict_is_one_of_the_choices_and_nothing_else"
        ),
    ),
    Bug(
        name="answers are always shown in one order",
        seen_in="CHOPS, preference for what stands first",
        file="methods/search/checklist.py",
        old="orders = [rng.permutation(len(shown)) for _ in range(self.orders)]",
        new="orders = [np.arange(len(shown)) for _ in range(self.orders)]",
        test=(
            "tests/methods/search/test_checklist.py::"
            "test_pages_show_the_question_the_checklist_and_every_text_once_in_orders_of_chance"
        ),
    ),
    Bug(
        name="an attempt that was right is tried again",
        seen_in="eureka-ml-insights, sequential attempts",
        file="methods/search/sequential_revision.py",
        old="and scores[-1] < self.enough and not budget_spent(attempts):",
        new="and not budget_spent(attempts):",
        test=(
            "tests/methods/search/test_sequential_revision.py::"
            "test_nothing_is_tried_after_a_right_attempt_and_nothing_right_is_lost"
        ),
    ),
    Bug(
        name="a stray quote opens the prompt for a hint",
        seen_in="eureka-ml-insights, hint template",
        file="methods/search/sequential_revision.py",
        old='_HINT = """Here is a task:',
        new='_HINT = """ "Here is a task:',
        test=(
            "tests/methods/search/test_sequential_revision.py::"
            "test_prompts_hold_the_question_and_all_attempts_in_order_and_no_answer_of_ours"
        ),
    ),
    Bug(
        name="an example in the documentation names a setting that there is not",
        seen_in="its_hub, constructor arguments of the docs",
        file="methods/search/cascade.py",
        old="-d smollm2 -s cascade\n",
        new="-d smollm2 -s 'cascade(draws=4)'\n",
        test="tests/cli/test_command_line.py::test_an_example_is_a_spelling_that_builds",
    ),
)
