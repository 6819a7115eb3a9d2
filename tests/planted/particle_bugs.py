"""Bugs of particle filters, and of the scores that they weigh by."""

from tests.planted.bug import Bug

PARTICLE_BUGS = (
    Bug(
        name="the temperature is dropped after the first step",
        seen_in="probabilistic-inference-scaling, particle filter at a fixed 0.8",
        file="methods/search/_particles.py",
        old="temperature=method.temperature,",
        new="temperature=0.8 if parents[0].here.steps else method.temperature,",
        test="tests/methods/search/test_smc.py::test_every_step_is_asked_in_the_same_way_and_nothing_twice",
    ),
    Bug(
        name="what is kept weighs one step ahead",
        seen_in="probabilistic-inference-scaling, particle Gibbs",
        file="methods/search/_particles.py",
        old="self.particles[0] = self.reference.at(step)",
        new="self.particles[0] = self.reference.at(step + 1)",
        test=(
            "tests/methods/search/test_particle_gibbs.py::"
            "test_what_is_kept_weighs_what_its_own_step_weighs"
        ),
    ),
    Bug(
        name="what is kept is weighed by its final score at every step",
        seen_in="its_hub, particle Gibbs: a stopped reference",
        file="methods/search/_particles.py",
        old="self.log_weights = self.log_weights + np.array(gains) / self.temperature",
        new=(
            "self.log_weights = self.log_weights + np.array(gains) / self.temperature\n"
            "        if self.reference is not None:\n"
            "            self.log_weights[0] = log_odds(self.reference.score)"
        ),
        test=(
            "tests/methods/search/test_particle_gibbs.py::"
            "test_what_is_kept_weighs_what_its_own_step_weighs"
        ),
    ),
    Bug(
        name="the temperature of weights has no effect",
        seen_in="its_hub, particle filter: no softmax temperature",
        file="methods/search/_particles.py",
        old="np.array(gains) / self.temperature",
        new="np.array(gains)",
        test="tests/methods/search/test_parallel_tempering.py::test_each_chain_keeps_its_own_law",
    ),
    Bug(
        name="finished particles are written on and the tokens thrown away",
        seen_in="probabilistic-inference-scaling, batched particle filter",
        file="methods/search/_particles.py",
        old="return [place for place in free if not self.particles[place].here.done]",
        new="return list(free)",
        test=(
            "tests/methods/search/test_smc.py::"
            "test_every_step_is_asked_in_the_same_way_and_nothing_twice"
        ),
    ),
    Bug(
        name="answers are copied once more when all have ended",
        seen_in="its_hub, particle filter: an extra resampling",
        file="methods/search/_particles.py",
        old=(
            "if any(one.cut for one in sets) or all(one.done for one in sets):\n"
            "            return\n        for particle_set in sets:\n"
            "            if not particle_set.done:\n"
            "                particle_set.resample(below, rng)"
        ),
        new=(
            "ended = all(one.done for one in sets)\n        for particle_set in sets:\n"
            "            particle_set.resample(1.0 if ended else below, rng)\n"
            "        if ended or any(one.cut for one in sets):\n            return"
        ),
        test=("tests/methods/search/test_smc.py::test_nothing_is_copied_once_all_is_written"),
    ),
    Bug(
        name="equal weights are not resampled",
        seen_in="particle filtering, resampling below an effective sample size",
        file="methods/search/particle_filter.py",
        old="yield from grow(self, [particle_set], ALWAYS, rng)",
        new="yield from grow(self, [particle_set], 1.0, rng)",
        test=(
            "tests/methods/search/test_particle_filter.py::"
            "test_it_resamples_at_every_step_even_if_all_weigh_the_same"
        ),
    ),
    Bug(
        name="copies are drawn systematically under the published name",
        seen_in="its_hub, particle filter",
        file="methods/search/particle_filter.py",
        old="ParticleSet([Particle((start,))] * self.n, scheme=multinomial)",
        new="ParticleSet([Particle((start,))] * self.n)",
        test=(
            "tests/methods/search/test_particle_filter.py::test_it_resamples_at_every_step_even_if_all_weigh_the_same"
        ),
    ),
    Bug(
        name="finished answers leave the competition",
        seen_in="probabilistic-inference-scaling, resample_inactive off",
        file="methods/search/_particles.py",
        old="return log_odds(self.scores[min(step, len(self.scores)) - 1])",
        new="return 0.0 if step > len(self.scores) else log_odds(self.scores[step - 1])",
        test=(
            "tests/methods/search/test_particle_filter.py::"
            "test_finished_answers_compete_at_every_later_step"
        ),
    ),
    Bug(
        name="weights are the scores themselves, nearly all equal",
        seen_in="particle filtering: softmax of raw probabilities",
        file="methods/search/_particles.py",
        old="return log_odds(self.scores[step - 1]) - before",
        new="return self.scores[step - 1] - (before and self.scores[step - 2])",
        test=("tests/methods/search/test_smc.py::test_weights_follow_the_exact_posterior"),
    ),
    Bug(
        name="a draw next to 1 runs past the last particle",
        seen_in="its_hub, systematic resampling",
        file="numerics/resampling.py",
        old="np.minimum(found, np.flatnonzero(values)[-1])",
        new="found",
        test="tests/numerics/test_resampling.py::test_a_draw_next_to_one_stays_within_the_shares",
    ),
    Bug(
        name="certain scores have no finite odds",
        seen_in="its_hub, logits of rewards of 0 and 1",
        file="numerics/resampling.py",
        old="held = min(max(score, FINEST), 1 - FINEST)",
        new="held = min(max(score, 0.0), 1.0)",
        test=(
            "tests/numerics/test_resampling.py::test_odds_of_certain_scores_are_finite_and_opposite"
        ),
    ),
    Bug(
        name="a reward model's logits are taken for chances",
        seen_in="probabilistic-inference-scaling, assertion on rewards",
        file="models/encoders/reward_model.py",
        old="torch.sigmoid(labels[:, 0])",
        new="labels[:, 0]",
        test="tests/models/encoders/test_reward_model.py::test_one_label_is_the_reward_squashed",
    ),
)
