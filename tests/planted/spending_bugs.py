"""Bugs of budgets, charges, seeds, and the names of what is asked."""

from tests.planted.bug import Bug

SPENDING_BUGS = (
    Bug(
        name="verdicts are given whatever the budget covers",
        seen_in="no project: a guard for what is not an answer",
        file="cost/leases.py",
        old="return all(_paid(bound.once, kind) <= amount for kind, amount in self.left().items())",
        new="return True",
        test="tests/driver/test_no_overshoot.py::"
        "test_no_search_of_any_kind_spends_more_than_its_budget",
    ),
    Bug(
        name="a stopped search reads its beginnings as prompts are read, which rounds otherwise",
        seen_in="our own first version, after a kill",
        file="backends/local/local.py",
        old="            return SequenceStart(cache, root[0].logits, root[0].state)\n",
        new=(
            "            from forethought.engine.batch import Batch\n"
            "            sequence.tokens += sequence.forced\n"
            "            batch = Batch(sequence.network, sequence.meter)\n"
            "            return SequenceStart(cache, batch.prefill(cache, tokens[start:stop]))\n"
        ),
        test="tests/sessions/test_smollm2.py::"
        "test_what_is_read_again_goes_on_to_the_last_bit_as_if_it_had_never_been_gone",
    ),
    Bug(
        name="a search of one candidate rounds otherwise than the plain answer",
        seen_in="our own first version: shared prompts are merged, a single answer is in one piece",
        file="backends/local/piece.py",
        old="one_segment = not any(self.request.path) or prompt.plan.evicts_in_decode",
        new="one_segment = False",
        test="tests/sessions/test_smollm2.py::"
        "test_the_first_candidate_is_the_plain_answer_to_the_last_bit",
    ),
    Bug(
        name="all that goes on from the first candidate holds a prompt of its own",
        seen_in="our own second version: its row is in one piece with the prompt",
        file="backends/local/candidate_cache.py",
        old="        if one_segment or not self.one_segment:\n",
        new="        if True:\n",
        test="tests/backends/local/test_local.py::"
        "test_what_goes_on_from_the_first_candidate_shares_the_prompt",
    ),
    Bug(
        name="the first of several answers is another than the one alone",
        seen_in="our own first version, at near-ties",
        file="backends/local/candidate_cache.py",
        old="copy = SequenceCache.copy_at(self.start)\n",
        new="copy = self.cache\n",
        test="tests/sessions/test_smollm2.py::test_the_first_of_several_answers_is_the_one_alone",
    ),
    Bug(
        name="a budget is looked at between launches only, so waves overshoot",
        seen_in="pi-dynamic-workflows PR #71, token budget",
        file="cost/leases.py",
        old="most - self._settled(kind) - sum(one[kind] for one in self.leases.values())",
        new="most - self._settled(kind)",
        test="tests/cost/test_leases.py::test_what_is_leased_is_not_left_until_it_is_settled",
    ),
    Bug(
        name="a request may write what it wants whatever is left",
        seen_in="its_hub PR #168, budgets that count particles",
        file="cost/leases.py",
        old="            granted = _fair(granted, once, each, amount)\n",
        new="            granted = granted if amount > 0 else [0] * len(granted)\n",
        test="tests/driver/test_driver.py::test_no_budget_is_ever_overshot",
    ),
    Bug(
        name="passes of a prefill run beyond the budget",
        seen_in="our own first version, with kvzip",
        file="engine/meter.py",
        old="if self.flops + self.reserved + flops > self.limit:",
        new="if self.flops > self.limit:",
        test="tests/prefill/test_flops_at_most.py::"
        "test_a_budget_is_never_exceeded_and_whatever_it_covers_is_answered",
    ),
    Bug(
        name="what a scorer's own model spends is free",
        seen_in="A*-decoding, reward passes left out; lm-polygraph, estimators uncharged",
        file="driver/search_state.py",
        old='self.leases.settle("", ask.cost)',
        new="pass",
        test="tests/driver/test_charges.py::test_what_a_scorer_spends_is_part_of_the_cost",
    ),
    Bug(
        name="an ended answer is scored again at every step",
        seen_in="particle filters that forget scores, finished particles",
        file="driver/search_state.py",
        old="fresh = {one.identity: one for one in candidates if one.identity not in self._scores}",
        new="fresh = {one.identity: one for one in candidates}",
        test="tests/driver/test_driver.py::test_a_scorer_sees_each_candidate_once",
    ),
    Bug(
        name="what is done is written on",
        seen_in="probabilistic-inference-scaling, batched steps",
        file="driver/requests.py",
        old=(
            "    if parent.done:\n"
            "        return PendingCandidate(parent, 0, ask, 0, parent.finish)\n"
        ),
        new="",
        test=(
            "tests/driver/test_driver.py::test_nothing_is_asked_to_go_on_from_an_answer_that_is_done"
        ),
    ),
    Bug(
        name="candidates are written past the model's context",
        seen_in="searches over a prompt that nearly fills the context",
        file="backends/local/piece.py",
        old="sequence.max_tokens = min(sequence.max_tokens, room)",
        new="pass",
        test=(
            "tests/prefill/test_context_room.py::test_many_answers_at_once_have_the_same_room_and_note"
        ),
    ),
    Bug(
        name="every candidate pays for the shared prompt",
        seen_in="optillm PR #243, token usage",
        file="driver/requests.py",
        old="first=request.place not in known",
        new="first=True",
        test=(
            "tests/driver/test_next_tokens.py::test_only_the_first_to_ask_behind_a_text_pays_for_reading_it"
        ),
    ),
    Bug(
        name="samples of one prompt share a place in the cache of answers",
        seen_in="DSPy and gepa #4, cached clients",
        file="driver/requests.py",
        old=(
            "place = (parent.question, parent.text, parent.token_ids, request.path, request.stream)"
        ),
        new="place = (parent.question, parent.text, parent.token_ids)",
        test=(
            "tests/driver/test_driver.py::"
            "test_children_of_one_parent_differ_and_first_children_go_on_with_its_draws"
        ),
    ),
    Bug(
        name="samples of one question share a name",
        seen_in="DSPy, cached clients without a sample's number",
        file="recipes/identity.py",
        old="question_hash(question), number]",
        new="question_hash(question)]",
        test="tests/recipes/test_identity.py::test_recipe_task_and_number_change_the_key",
    ),
    Bug(
        name="samples of one question draw with one seed",
        seen_in="large language monkeys, correlated samples",
        file="recipes/identity.py",
        old="question_identifier, number]",
        new="question_identifier]",
        test="tests/evaluation/test_evaluate.py::test_several_samples_differ_and_are_one_score",
    ),
    Bug(
        name="draws come from one generator that all share",
        seen_in="its_hub, module-level random",
        file="engine/sampling.py",
        old="return float(np.random.default_rng(seeds).random())",
        new="return float(np.random.random())",
        test=(
            "tests/engine/test_sampling.py::"
            "test_a_draw_depends_on_seed_candidate_and_position_alone"
        ),
    ),
    Bug(
        name="one failed request ends the whole run",
        seen_in="its_hub #66 and #67, one dead particle",
        file="driver/search_state.py",
        old="            self._fail(error)\n            return []\n        self._verdicts",
        new="            raise error\n        self._verdicts",
        test="tests/driver/test_driver.py::test_a_failure_ends_its_own_search_and_no_other",
    ),
    Bug(
        name="Yes with a space, or in small letters, is no Yes",
        seen_in="adaptive compute, tokens of Yes and No",
        file="backends/local/choice_scores.py",
        old=(
            'spellings = {f"{space}{word}" for space in ("", " ") for word in (choice, '
            "choice.lower())}"
        ),
        new="spellings = {choice}",
        test=(
            "tests/backends/local/test_verdicts.py::test_chances_are_those_of_questions_that_are_read_alone"
        ),
    ),
    Bug(
        name="a question that does not fit is judged without its beginning",
        seen_in="AlphaMath, context overflow as a value",
        file="backends/local/verdicts.py",
        old="            self._check_fits(len(self._prompt(question)) + longest)\n",
        new="            del question\n",
        test="tests/backends/local/test_verdicts.py::test_a_question_that_does_not_fit_is_an_error",
    ),
    Bug(
        name="half of a piece is kept for the next run",
        seen_in="lm-eval and evalscope, resumed runs",
        file="driver/driver.py",
        old="timed.error is None and not cut and not timed.readings:",
        new="timed.error is None and not timed.readings:",
        test="tests/storage/test_replay_log.py::test_half_a_piece_and_a_failure_are_never_kept",
    ),
    Bug(
        name="company changes what is drawn",
        seen_in="vLLM #42019, results that depend on the order of requests",
        file="driver/search_state.py",
        old="self._children: Counter[tuple[str, Path]] = Counter()",
        new='self._children = vars(backend).setdefault("children", Counter())',
        test="tests/driver/test_driver.py::test_company_and_latency_change_nothing",
    ),
    Bug(
        name="what was given is asked for again",
        seen_in="gepa #4, rollouts done twice",
        file="driver/driver.py",
        old="replayed = self.replay_log.get(request.key) if self.replay_log else None",
        new="replayed = None",
        test="tests/storage/test_replay_log.py::test_half_a_piece_and_a_failure_are_never_kept",
    ),
    Bug(
        name="a limit in money limits nothing",
        seen_in="inspect_ai #795 and #1152, lmms-eval PR #1101: cost limits",
        file="cost/leases.py",
        old='KINDS = {"tokens": "output_tokens", "flops": "flops", "usd": "usd"}',
        new='KINDS = {"tokens": "output_tokens", "flops": "flops"}',
        test=(
            "tests/driver/test_judges.py::"
            "test_money_is_never_overshot_and_without_any_for_the_judge_a_vote_decides"
        ),
    ),
    Bug(
        name="a question for a verdict sees the rest of another that begins alike",
        seen_in="vLLM #42019 and #3251, log-probabilities of prompts beside a prefix cache",
        file="backends/local/verdicts.py",
        old="cache = before.cache.before(shared)",
        new="cache = before.cache.fork()",
        test=(
            "tests/backends/local/test_verdicts.py::test_chances_are_those_of_questions_that_are_read_alone"
        ),
    ),
)
