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
        name="expected improvement takes the middle of a clipped bar",
        seen_in="automl/lcpfn, bar distribution",
        file="beliefs/bars.py",
        old="gains = ((high**2 - start**2) / 2 - best * (high - start)) / (high - low)",
        new="gains = ((high + start) / 2 - best).clip(0.0)",
        test="tests/beliefs/test_bars.py::test_moments_and_tails_are_those_of_the_density",
    ),
)
