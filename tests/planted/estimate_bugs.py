"""Bugs of estimates: coverage, verifiers, and strategies that are chosen by difficulty."""

from tests.planted.bug import Bug

ESTIMATE_BUGS = (
    Bug(
        name="the end's chance is summed, but not counted",
        seen_in="our own first version",
        file="contracts/candidates.py",
        old="max(1, self.scored_tokens or self.tokens)",
        new="max(1, self.tokens)",
        test="tests/methods/scoring/test_likelihood.py::"
        "test_an_end_that_was_uncertain_counts_as_a_token_does",
    ),
    Bug(
        name="a scorer may give any number, and no number",
        seen_in="our own first version",
        file="driver/job.py",
        old="if not -1e-6 <= number <= 1 + 1e-6:",
        new="if False:",
        test="tests/driver/test_driver.py::test_what_is_no_score_ends_its_own_search_and_no_other",
    ),
    Bug(
        name="votes by probability where nobody tells probabilities",
        seen_in="our own first version",
        file="methods/search/majority_vote.py",
        old='return frozenset(() if self.weight == "equal" else ("log-probabilities",))',
        new="return frozenset()",
        test="tests/methods/search/test_majority_vote.py::"
        "test_weights_by_probability_need_a_back_end_that_tells_it",
    ),
    Bug(
        name="more samples are asked about than there are",
        seen_in="inspect_evals #1576, pass@k beyond the epochs",
        file="numerics/coverage.py",
        old="if not 0 <= right <= samples or not 1 <= k <= samples:",
        new="if not 0 <= right <= samples:",
        test="tests/numerics/test_coverage.py::test_k_beyond_the_samples_is_refused",
    ),
    Bug(
        name="the best of more samples than there are is asked about",
        seen_in="inspect_evals #1576, reducers beyond the epochs",
        file="numerics/selection.py",
        old="if samples != judged or not 1 <= k <= samples:",
        new="if samples != judged:",
        test="tests/numerics/test_selection.py::test_k_beyond_the_samples_is_refused",
    ),
    Bug(
        name="coverage is estimated by the share of right samples",
        seen_in="repeated sampling, plug-in pass@k",
        file="numerics/coverage.py",
        old="    if samples - right < k:\n        return 1.0\n",
        new="    return 1.0 - (1.0 - right / samples) ** k\n",
        test=(
            "tests/numerics/test_coverage.py::"
            "test_pass_at_k_is_unbiased_where_the_plain_estimate_is_not"
        ),
    ),
    Bug(
        name="a kept sample is drawn several times",
        seen_in="cost-of-pass, votes with replacement",
        file="numerics/selection.py",
        old="    ranks = np.arange(1, samples)\n",
        new=(
            "    ends = (np.arange(samples, -1, -1) / samples) ** k\n"
            "    return ends[:-1] - ends[1:]\n    ranks = np.arange(1, samples)\n"
        ),
        test="tests/numerics/test_selection.py::test_the_best_of_k_is_the_mean_over_all_subsets",
    ),
    Bug(
        name="later attempts are discounted twice",
        seen_in="inference scaling flaws, survival in the notebook",
        file="numerics/verifiers.py",
        old="made = (1.0 - self._rejected**attempts) / np.where(endless, 1.0, left)",
        new=(
            "made = (1.0 - self._rejected ** (2 * attempts)) / np.where(\n"
            "            endless, 1.0, 1.0 - self._rejected**2\n        )"
        ),
        test="tests/numerics/test_verifiers.py::test_the_optimum_of_the_published_example",
    ),
    Bug(
        name="the worth of more attempts grows without end",
        seen_in="inference scaling flaws, wrong answers that pass are free",
        file="numerics/verifiers.py",
        old="return self._accepted_right - self.penalty * self._accepted_wrong - self.price",
        new="return self._accepted_right - self.price",
        test="tests/numerics/test_verifiers.py::test_the_optimum_of_the_published_example",
    ),
    Bug(
        name="answers at temperature 0 count as independent draws",
        seen_in="multi-temperature voting, duplicates at 0",
        file="evaluation/draws.py",
        old="return bool(alike) and temperature(run) > 0",
        new="return bool(alike)",
        test=(
            "tests/evaluation/test_draws.py::"
            "test_only_draws_whose_number_depends_on_nothing_are_draws"
        ),
    ),
    Bug(
        name="a plan is tried on the questions it was fitted on",
        seen_in="compute-optimal scaling, bins from test data",
        file="evaluation/fitting.py",
        old="plan, test = fitted(matrix.subset(others), probe, by, bins), matrix.subset(held)",
        new="plan, test = fitted(matrix, probe, by, bins), matrix.subset(held)",
        test=(
            "tests/evaluation/test_fitting.py::"
            "test_what_is_chance_gains_nothing_on_held_out_questions"
        ),
    ),
    Bug(
        name="a choice by difficulty is scored where it was made",
        seen_in="compute-optimal scaling, bins from test data",
        file="numerics/difficulty.py",
        old="choice = best_by_bin(scores[:, ~held], bins[~held])",
        new="choice = best_by_bin(scores, bins)",
        test=(
            "tests/numerics/test_difficulty.py::"
            "test_a_choice_on_other_questions_gains_nothing_from_noise"
        ),
    ),
    Bug(
        name="equally hard questions are binned in the order of the file",
        seen_in="compute-optimal scaling, ties of 0 and 1",
        file="numerics/difficulty.py",
        old="order = np.lexsort((rng.random(count), second,",
        new="order = np.lexsort((np.arange(count), second,",
        test=(
            "tests/numerics/test_difficulty.py::"
            "test_equal_questions_are_sorted_by_what_comes_then_or_by_chance"
        ),
    ),
    Bug(
        name="finding out the difficulty is free",
        seen_in="compute-optimal scaling, 2,048 samples to tell it",
        file="evaluation/fitting.py",
        old="return self.scores - self.worth * self.routed",
        new="return self.scores - self.worth * self.tokens",
        test=(
            "tests/evaluation/test_fitting.py::test_a_bin_has_what_is_worth_most_behind_the_probe"
        ),
    ),
)
