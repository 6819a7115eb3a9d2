"""Bugs of evaluations: work that is lost, intervals, comparisons and records."""

from tests.planted.bug import Bug

EVALUATION_BUGS = (
    Bug(
        name="what is kept is asked again",
        seen_in="lm-eval #2533 and #2548, lighteval #239: resuming",
        file="evaluation/evaluate.py",
        old="return [one for one in wanted if not self.store.has(one.key)]",
        new="return list(wanted)",
        test="tests/evaluation/test_evaluate.py::test_a_second_run_asks_nothing",
    ),
    Bug(
        name="a run of which all is kept breaks",
        seen_in="lm-eval #2140, full caches",
        file="evaluation/cells.py",
        old="for start in range(0, len(groups), most):",
        new="for start in range(0, len(groups), min(most, len(groups))):",
        test="tests/evaluation/test_evaluate.py::test_a_second_run_asks_nothing",
    ),
    Bug(
        name="what was kept before is not part of the table",
        seen_in="evalscope #1416, metrics lost on resume",
        file="evaluation/evaluate.py",
        old="found = self.compared([one for one in wanted if one.name not in refused])",
        new=(
            "found = self.compared("
            "[one for one in samples.missing or wanted if one.name not in refused])"
        ),
        test="tests/evaluation/test_evaluate.py::test_a_stopped_run_goes_on_where_it_was",
    ),
    Bug(
        name="answers are kept once all were given",
        seen_in="lighteval #417 and #880, lmms-eval #852: work lost",
        file="evaluation/evaluate.py",
        old="enumerate(self.runner.answers(samples), 1)",
        new="enumerate(list(self.runner.answers(samples)), 1)",
        test=(
            "tests/evaluation/test_evaluate.py::"
            "test_what_cannot_be_judged_stops_the_run_and_keeps_the_rest"
        ),
    ),
    Bug(
        name="a sample is in memory when it is said to be kept",
        seen_in="lm-eval, caches lost with the process",
        file="storage/store_file.py",
        old='"PRAGMA synchronous = FULL"',
        new='"PRAGMA synchronous = OFF"',
        test="tests/storage/test_store.py::test_a_sample_is_in_the_log_on_disk_before_put_returns",
    ),
    Bug(
        name="a failed request is kept as if it had been answered",
        seen_in="lmms-eval #852, resumed failures",
        file="driver/driver.py",
        old="timed.error is None and not cut and not timed.readings:",
        new="not cut and not timed.readings:",
        test="tests/storage/test_replay_log.py::test_half_a_piece_and_a_failure_are_never_kept",
    ),
    Bug(
        name="kept answers come in the order of writing",
        seen_in="lm-eval #2140, caches by rank",
        file="storage/store.py",
        old='{where} {_ORDER}"',
        new='{where}"',
        test=(
            "tests/storage/test_store.py::test_samples_have_one_order_whatever_the_order_of_writing"
        ),
    ),
    Bug(
        name="scoring twice gives two intervals",
        seen_in="lm-eval, bootstrap without a seed",
        file="evaluation/statistics.py",
        old="rng = np.random.default_rng(seed)",
        new="rng = np.random.default_rng()",
        test=(
            "tests/evaluation/test_statistics.py::"
            "test_a_difference_does_not_depend_on_the_other_recipes_or_their_order"
        ),
    ),
    Bug(
        name="a kept answer serves for a question whose data changed",
        seen_in="lm-eval, cache keys without the data",
        file="recipes/identity.py",
        old='parts = ["sample", _LAYOUT, recipe_json, task, question_hash(question), number]',
        new='parts = ["sample", _LAYOUT, recipe_json, task, question.identifier, number]',
        test=(
            "tests/recipes/test_identity.py::test_every_part_of_a_question_changes_its_hash_and_the_key"
        ),
    ),
    Bug(
        name="answers that were judged are judged again",
        seen_in="lm-polygraph #144 and #263, stored samples",
        file="evaluation/draws.py",
        old="kept = candidate.get(RIGHT)",
        new="kept = None",
        test=(
            "tests/evaluation/test_draws.py::test_how_right_an_answer_is_need_not_be_judged_again"
        ),
    ),
    Bug(
        name="what cannot be judged counts as wrong",
        seen_in="eureka-ml-insights, extraction failures",
        file="evaluation/evaluate.py",
        old=(
            '        with ForethoughtError.named(f"{one.task}, {one.question.identifier}"):\n'
            "            return self.tasks[one.task].check(one.question, answer)"
        ),
        new=(
            "        try:\n            return self.tasks[one.task].check(one.question, answer)\n"
            "        except ForethoughtError:\n            return 0.0"
        ),
        test=(
            "tests/evaluation/test_evaluate.py::"
            "test_what_cannot_be_judged_stops_the_run_and_keeps_the_rest"
        ),
    ),
    Bug(
        name="none or all right leaves no doubt",
        seen_in="lm-eval #4070, an error of 0 at 0 % and 100 %",
        file="numerics/intervals.py",
        old=(
            "    if grouped.count == alone.count and set(scores) <= {0, 1}:\n"
            "        return wilson(mean, grouped.count)\n"
        ),
        new=(
            "    if grouped.count == alone.count and set(scores) <= {0, 1}:\n"
            "        half = 1.96 * math.sqrt(mean * (1 - mean) / grouped.count)\n"
            "        return Interval(mean, max(0.0, mean - half), min(1.0, mean + half))\n"
        ),
        test=(
            "tests/numerics/test_intervals.py::"
            "test_independent_scores_of_zero_and_one_get_wilsons_interval"
        ),
    ),
    Bug(
        name="scores that are all alike are certain",
        seen_in="lm-eval #4070, an error of 0",
        file="numerics/intervals.py",
        old=(
            "    if grouped.count == 1 or error < 1e-9:\n"
            "        return wilson(mean, grouped.count)\n"
        ),
        new=(
            "    if grouped.count == 1 or error < 1e-9:\n"
            "        return Interval(mean, mean, mean)\n"
        ),
        test="tests/numerics/test_intervals.py::test_constant_scores_are_not_taken_for_certain",
    ),
    Bug(
        name="doubled questions narrow the interval",
        seen_in="inspect_ai #1251, errors without clusters",
        file="numerics/intervals.py",
        old="error = max(grouped.error, alone.error)",
        new="error = alone.error",
        test=(
            "tests/numerics/test_intervals.py::test_doubled_questions_do_not_narrow_the_interval"
        ),
    ),
    Bug(
        name="clusters that happen to agree narrow the interval",
        seen_in="inspect_ai PR #1231, clustered below plain errors",
        file="numerics/intervals.py",
        old="error = max(grouped.error, alone.error)",
        new="error = grouped.error",
        test=(
            "tests/numerics/test_intervals.py::"
            "test_clusters_that_nearly_agree_say_no_more_than_independent_questions"
        ),
    ),
    Bug(
        name="questions of one source count apart in a comparison",
        seen_in="inspect_ai #1251, errors without clusters",
        file="evaluation/statistics.py",
        old="mine[task].clusters(shared[task])",
        new="shared[task]",
        test="tests/evaluation/test_statistics.py::test_questions_from_one_source_stay_together",
    ),
    Bug(
        name="several answers to a question are as many questions",
        seen_in="inspect_ai PR #1113 and #1118, epochs",
        file="evaluation/task_scores.py",
        old=(
            "    scores = {name: math.fsum(known) / len(known) for name, known in found.items() "
            "if known}\n    return TaskScores(scores, origins)"
        ),
        new=(
            '    each = {f"{q} {n}": (q, one) for q, all_ in numbered.items() for n, one in '
            "all_.items()}\n    scores = {name: one.score for name, (_, one) in each.items()}\n"
            "    return TaskScores(scores, {name: origins[q] for name, (q, _) in each.items()})"
        ),
        test=(
            "tests/evaluation/test_statistics.py::test_several_answers_to_a_question_are_one_score"
        ),
    ),
    Bug(
        name="a comparison is of two means, not of pairs",
        seen_in="lm-eval #3831, unpaired test",
        file="evaluation/statistics.py",
        old="task: [mine[task].scores[name] - theirs[task].scores[name] for name in names]",
        new=(
            "task: [\n            a - b\n            for a, b in zip(\n"
            "                [mine[task].scores[name] for name in names],\n"
            "                [theirs[task].scores[name] for name in reversed(names)],\n"
            "                strict=True,\n            )\n        ]"
        ),
        test=(
            "tests/evaluation/test_statistics.py::test_a_recipe_against_its_equal_has_no_difference"
        ),
    ),
    Bug(
        name="equal outputs differ significantly",
        seen_in="lm-eval #3831, paired test on identical outputs",
        file="numerics/pairs.py",
        old="    if not len(sizes):\n        return 1.0\n",
        new="    if not len(sizes):\n        return 0.0\n",
        test="tests/numerics/test_pairs.py::test_equal_pairs_have_a_p_value_of_one",
    ),
    Bug(
        name="the recipe's length of answers is overwritten",
        seen_in="bag-of-tricks, settings overwritten in the constructor",
        file="evaluation/wanted_sample.py",
        old="given = recipe.max_tokens != Recipe.max_tokens",
        new="given = False",
        test=(
            "tests/evaluation/test_evaluate.py::"
            "test_the_task_says_how_long_an_answer_may_be_unless_the_recipe_does"
        ),
    ),
    Bug(
        name="nothing says what was paid",
        seen_in="inspect_ai #1152, price tables that go stale",
        file="sessions/remote_batch.py",
        old='            PRICE: "" if price is None else str(price),\n',
        new="",
        test=(
            "tests/sessions/test_remote_batch.py::"
            "test_what_is_kept_tells_of_the_server_and_never_of_the_key"
        ),
    ),
    Bug(
        name="nothing says what made a sample",
        seen_in="lighteval #631, settings that are no part of a result",
        file="evaluation/evaluate.py",
        old="made = {**self.provenance, **answer.made, ",
        new="made = {**answer.made, ",
        test="tests/evaluation/test_evaluate.py::test_a_sample_says_what_made_it",
    ),
    Bug(
        name="the cell of a dead worker is dropped",
        seen_in="LUFFY #11 and RL-Factory #8, an actor that dies ends the run",
        file="evaluation/ray_cells.py",
        old="self.queue[:0] = [cell] if cell.wanted else []",
        new="self.queue[:0] = []",
        test=(
            "tests/evaluation/test_ray_cells.py::"
            "test_the_cell_of_a_dead_worker_goes_on_with_another"
        ),
    ),
    Bug(
        name="what a dead worker reported is drawn again",
        seen_in="lmms-eval #852, work that is lost with a process",
        file="evaluation/ray_cells.py",
        old="self.samples.replay_log.put(outcome_of(report.key, report.document))",
        new="pass",
        test=(
            "tests/evaluation/test_ray_cells.py::"
            "test_the_cell_of_a_dead_worker_goes_on_with_another"
        ),
    ),
    Bug(
        name="an engine asks for more cores than a node has",
        seen_in="lm-eval #2379, no node of Ray fulfils the request",
        file="evaluation/ray_workers.py",
        old="each = max(1, min(wanted, max(cores, default=1)))",
        new="each = max(1, wanted)",
        test="tests/evaluation/test_ray_workers.py::test_engines_share_the_cluster",
    ),
)
