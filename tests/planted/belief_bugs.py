"""Bugs of beliefs: banks of simulated laws, holdouts, judges, streams and networks."""

from tests.planted.bug import Bug

BELIEF_BUGS = (
    Bug(
        name="a kind of evidence counts once, however many questions have it",
        seen_in="our own first version",
        file="beliefs/grid_bank.py",
        old="np.log(laws @ self.likelihood + _FLOOR) @ self.times",
        new="np.log(laws @ self.likelihood + _FLOOR).sum(axis=1)",
        test="tests/beliefs/test_difficulty.py::test_the_posterior_is_bayes_rule_world_by_world",
    ),
    Bug(
        name="a question's rate is drawn from its law without its own answers",
        seen_in="coverage forecasts, plug-in of the population",
        file="beliefs/grid_bank.py",
        old="drawn_nodes(chosen * likelihood, int(times), rng)",
        new="drawn_nodes(chosen + 0 * likelihood, int(times), rng)",
        test="tests/beliefs/test_difficulty.py::test_draws_agree_with_the_exact_mean",
    ),
    Bug(
        name="a proposal off the wall wraps around",
        seen_in="Markov chains on a cube",
        file="beliefs/grid_bank.py",
        old="1 - np.abs(1 - np.mod(points, 2))",
        new="points.clip(0, 1)",
        test="tests/beliefs/test_grid_bank.py::test_chains_do_not_stick_to_the_walls",
    ),
    Bug(
        name="tied answers lose their vote",
        seen_in="self-consistency, argmax of counts",
        file="beliefs/votes.py",
        old="np.where(tied, 1.0 / (1 + level), 0.0)",
        new="0.0",
        test="tests/beliefs/test_votes.py::test_ties_share_the_credit",
    ),
    Bug(
        name="noise is averaged away by asking again",
        seen_in="reusable holdout, answers without a cache",
        file="beliefs/holdout.py",
        old="if key not in self.known:",
        new="if True:",
        test="tests/beliefs/test_holdout.py::test_asking_again_gives_the_same_noise_at_no_charge",
    ),
    Bug(
        name="a judge that was copied counts as two",
        seen_in="judges of one family taken as independent",
        file="beliefs/judges.py",
        old="dropped = {second for _, second in self.copies()}",
        new="dropped: set[int] = set()",
        test="tests/beliefs/test_judges.py::"
        "test_a_copied_judge_counts_once_and_an_independent_one_narrows",
    ),
    Bug(
        name="class means lose the variance of their own uncertainty",
        seen_in="ProtoCL, plug-in means",
        file="beliefs/class_means.py",
        old="found: Floats = 1 / self.precision + self.noise",
        new="found: Floats = 0 / self.precision + self.noise",
        test="tests/beliefs/test_stream.py::"
        "test_classes_have_the_posterior_of_the_joint_normal_law",
    ),
    Bug(
        name="queries of a network see each other",
        seen_in="prior-data fitted networks, attention without a mask",
        file="beliefs/amortised/network.py",
        old="bias = times.new_full((batch, 1, size, size), -torch.inf)",
        new="bias = times.new_zeros((batch, 1, size, size))",
        test="tests/beliefs/test_prior_fitted_network.py::test_queries_do_not_see_each_other",
    ),
    Bug(
        name="each command begins a new holdout",
        seen_in="reusable holdout, state in memory",
        file="evaluation/holdout_looks.py",
        old="            state = self._fresh() if text is None else Thresholdout.read(text)\n"
        "            found = state",
        new="            state = self._fresh()\n            found = state",
        test="tests/evaluation/test_holdout_looks.py::"
        "test_looks_are_guarded_and_charged_across_commands",
    ),
    Bug(
        name="a comparison shows the scores of its held-out half",
        seen_in="reusable holdout, raw scores in the table",
        file="evaluation/evaluate.py",
        old="seen = kept if split is None else split.seen(kept)",
        new="seen = kept",
        test="tests/evaluation/test_holdout_looks.py::test_other_figures_are_of_the_tuning_half",
    ),
    Bug(
        name="a ranking by judges uses gold scores that nobody gave it",
        seen_in="judges, labels for free",
        file="evaluation/judged_ranking.py",
        old="if (sample.task, sample.question) in labelled:",
        new="if True:",
        test="tests/evaluation/test_judged_ranking.py::"
        "test_without_gold_scores_two_levels_still_rank_and_are_wider",
    ),
    Bug(
        name="unsolved questions are as hard as all of them",
        seen_in="forecasts, a mean over all questions",
        file="evaluation/look_ahead.py",
        old="first, more = posterior.next_success()[none].mean(), within[none].mean()",
        new="first, more = posterior.next_success().mean(), within.mean()",
        test="tests/evaluation/test_forecast.py::"
        "test_unsolved_questions_have_the_chances_of_the_simulated_worlds",
    ),
    Bug(
        name="steps of a learning curve are answers",
        seen_in="our own first version",
        file="evaluation/choice_curves.py",
        old="return tuple(one / self.answers for one in answers)",
        new="return tuple(min(100.0, one) for one in answers)",
        test="tests/evaluation/test_forecast.py::"
        "test_a_network_of_learning_curves_extends_the_scorers_choice",
    ),
    Bug(
        name="the usual confidence is the greatest one",
        seen_in="our own first version",
        file="server/confidence_stream.py",
        old="middle = statistics.median_high(values)",
        new="middle = max(values)",
        test="tests/server/test_confidence_stream.py::"
        "test_the_share_is_the_discounted_belief_and_the_mean_fades",
    ),
    Bug(
        name="a recipe saves what all recipes save",
        seen_in="cost-of-pass, essentialness",
        file="cost/cost_of_pass.py",
        old="others = {name: costs for name, costs in ways.items() if name not in family}",
        new="others: dict[str, Sequence[float]] = {}",
        test="tests/cost/test_cost_of_pass.py::test_essentialness_is_what_the_others_lose",
    ),
)
