"""Bugs of searches over steps: beams, trees, A* and diverse beams."""

from tests.planted.bug import Bug

TREE_BUGS = (
    Bug(
        name="of equal answers of a step beam the shortest wins",
        seen_in="our own first version; for beams see below",
        file="methods/search/step_beam.py",
        old="        ended.sort(key=lambda one: one.candidate.path)\n",
        new="",
        test="tests/methods/search/test_step_beam.py::test_a_short_answer_wins_only_by_its_score",
    ),
    Bug(
        name="a step beam gives up a whole answer for a beginning that the budget ends",
        seen_in="our own first version",
        file="methods/search/step_beam.py",
        old="ended += found + [one for one in worse if one.whole]",
        new="ended += found",
        test="tests/methods/search/test_step_beam.py::"
        "test_a_budget_ends_it_and_no_whole_answer_is_lost",
    ),
    Bug(
        name="a tree search has judged what the budget cut short",
        seen_in="our own first version",
        file="methods/search/mcts.py",
        old='[child for child in leaf.children if child.state.finish != "budget"]',
        new="leaf.children",
        test="tests/methods/search/test_mcts.py::"
        "test_what_the_budget_cut_short_is_not_scored_and_ends_it",
    ),
    Bug(
        name="where nothing tells answers apart, a tree search prefers likely steps",
        seen_in="our own first version",
        file="methods/search/mcts.py",
        old="            yield from self._ended(root)\n",
        new="            pass\n",
        test="tests/methods/search/test_mcts.py::test_a_constant_score_gives_the_plain_answer",
    ),
    Bug(
        name="an answer that nobody judged is taken once a verdict cannot be paid",
        seen_in="our own first version",
        file="methods/search/tree_refine.py",
        old="        except BudgetSpentError as error:\n",
        new="        except BudgetSpentError as error:\n            raise error\n",
        test="tests/methods/search/test_tree_refine.py::"
        "test_where_a_verdict_cannot_be_paid_the_most_accepted_answer_is_given",
    ),
    Bug(
        name="an answer that ended is forgotten at the next step",
        seen_in="llm-reasoners #5 and #65, beam search",
        file="methods/search/beam.py",
        old="ended += [one for one in drawn if one.candidate.done]",
        new="ended = [one for one in drawn if one.candidate.done]",
        test=(
            "tests/methods/search/test_beam.py::"
            "test_n_answers_end_and_nothing_that_was_written_is_lost"
        ),
    ),
    Bug(
        name="answers that were found but not popped are dropped",
        seen_in="llm-reasoners #65, A* reading",
        file="methods/search/a_star.py",
        old="goals += [one for one in left if one.candidate.done]",
        new="goals += []",
        test=(
            "tests/methods/search/test_a_star.py::test_an_answer_that_was_found_is_never_dropped"
        ),
    ),
    Bug(
        name="the walk down the tree misses the branch that has the answer",
        seen_in="llm-reasoners #65, tree search",
        file="methods/search/mcts.py",
        old="return [child for child in self.children if child.found] or self.children",
        new="return self.children",
        test=(
            "tests/methods/search/test_mcts.py::"
            "test_an_answer_is_found_though_a_better_branch_has_none"
        ),
    ),
    Bug(
        name="the first answers that end win, so the shortest",
        seen_in="search-and-learn, beam search without sort_completed",
        file="methods/search/beam.py",
        old="ended.sort(key=lambda one: one.candidate.path)",
        new="pass",
        test="tests/methods/search/test_beam.py::test_a_short_answer_wins_only_by_its_score",
    ),
    Bug(
        name="the beam starts with budget / width beginnings",
        seen_in="its_hub, beam search",
        file="methods/search/beam.py",
        old="beam = [start_option(start)] * self.n",
        new="beam = [start_option(start)] * max(1, self.n // self.width)",
        test=(
            "tests/methods/search/test_beam.py::"
            "test_n_answers_end_and_nothing_that_was_written_is_lost"
        ),
    ),
    Bug(
        name="the beam's width must divide the answers",
        seen_in="its_hub, beam search",
        file="methods/search/beam.py",
        old="again = duplicates(one.candidate for one in growing)",
        new=(
            "assert len(growing) % self.width == 0\n"
            "        again = duplicates(one.candidate for one in growing)"
        ),
        test=(
            "tests/methods/search/test_beam.py::"
            "test_n_answers_end_and_nothing_that_was_written_is_lost"
        ),
    ),
    Bug(
        name="winners are duplicated though other texts are left",
        seen_in="its_hub, beam search",
        file="methods/search/beam.py",
        old="key=lambda at: (again[at], -growing[at].score)",
        new="key=lambda at: -growing[at].score",
        test=(
            "tests/methods/search/test_beam.py::test_the_best_beginnings_are_kept_and_grow_in_turns"
        ),
    ),
    Bug(
        name="a beginning is ranked by the best score it ever had",
        seen_in="bag-of-tricks, beam search: max of the score history",
        file="methods/search/_steps.py",
        old="value = known.get(state.identity, parent.score)",
        new="value = max(parent.score, known.get(state.identity, parent.score))",
        test=(
            "tests/methods/search/test_steps.py::"
            "test_a_step_is_worth_its_score_and_a_cut_one_its_parents"
        ),
    ),
    Bug(
        name="equal texts are looked for by their last step alone",
        seen_in="bag-of-tricks, beam search: dictionary of duplicates",
        file="methods/search/_steps.py",
        old="said = (one.text, one.done)",
        new="said = (one.steps[-1], one.done)",
        test=(
            "tests/methods/search/test_steps.py::"
            "test_twins_say_the_same_from_their_beginning_on_in_whatever_steps"
        ),
    ),
    Bug(
        name="how to choose among the leaves is fixed whatever is asked",
        seen_in="search-and-learn, reports by the last score always",
        file="methods/search/_choice.py",
        old="match pick:",
        new='match "best":',
        test=(
            "tests/methods/search/test_choice.py::"
            "test_a_vote_takes_the_best_score_of_the_heaviest_group"
        ),
    ),
    Bug(
        name="tokens that a search wrote are not counted",
        seen_in="search-and-learn, DVTS writes -1 tokens",
        file="cost/leases.py",
        old="self.spent = self.spent.plus(cost)",
        new="pass",
        test=(
            "tests/methods/search/test_dvts.py::test_all_that_was_written_is_considered_or_given_up"
        ),
    ),
    Bug(
        name="of equally promising beginnings the shallowest grows first",
        seen_in="A*-decoding: breadth-first on flat scores",
        file="methods/search/a_star.py",
        old="(node.promise, -depth, next(self.numbers), node)",
        new="(node.promise, depth, next(self.numbers), node)",
        test=(
            "tests/methods/search/test_a_star.py::"
            "test_a_constant_score_goes_straight_down_the_first_branch"
        ),
    ),
    Bug(
        name="the selection of a node goes down one level only",
        seen_in="bag-of-tricks, MCTS: expansion inside the selection loop",
        file="methods/search/mcts.py",
        old="while path[-1].children:",
        new="if path[-1].children:",
        test=(
            "tests/methods/search/test_mcts.py::"
            "test_it_finds_what_the_scorer_wants_where_plain_answers_seldom_do"
        ),
    ),
    Bug(
        name="branches that have ended are selected again",
        seen_in="AlphaMath, tree search: ended nodes take up room",
        file="methods/search/mcts.py",
        old="child.value, child.closed = leaf.value, child.state.done",
        new="child.value = leaf.value",
        test="tests/methods/search/test_mcts.py::test_it_ends_where_every_branch_has",
    ),
    Bug(
        name="answers are ranked by the score that penalties went into",
        seen_in="diverse beam search, re-ranking by the beam's score",
        file="methods/search/diverse_beam.py",
        old="return beam.candidate.log_probability / math",
        new="return beam.score / math",
        test=(
            "tests/methods/search/test_diverse_beam.py::"
            "test_the_answer_is_the_likeliest_of_all_groups_not_the_least_penalised"
        ),
    ),
    Bug(
        name="a group ends with its first answer",
        seen_in="diverse beam search, finished slots",
        file="methods/search/_token_beams.py",
        old="if len(self.ended) == width and self.ended[-1].score >= best:",
        new="if self.ended and self.ended[-1].score >= best:",
        test=(
            "tests/methods/search/test_diverse_beam.py::"
            "test_a_beam_that_ends_leaves_its_place_to_others"
        ),
    ),
    Bug(
        name="a shifted copy counts as diverse though phrases are avoided",
        seen_in="diverse beam search, Hamming penalty by place",
        file="methods/search/diverse_beam.py",
        old="for end in range(self.phrase, len(said.tokens) + 1):",
        new="for end in range(len(said.tokens), len(said.tokens) + 1):",
        test=(
            "tests/methods/search/test_diverse_beam.py::test_phrases_are_avoided_as_in_a_slow_loop"
        ),
    ),
)
