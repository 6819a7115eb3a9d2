"""Bugs of sparse MLPs and of their correction."""

from tests.planted.bug import Bug

GRIFFIN = "tests/methods/contextual_sparsity/test_griffin.py"
SIRIUS = "tests/methods/contextual_sparsity/test_sirius.py"
SPARSITY_BUGS = (
    Bug(
        "a neuron's score sums activations that are not relative to their token",
        "magnitude instead of flocking, which GRIFFIN's paper compares with",
        "methods/contextual_sparsity/_thinning.py",
        "        added = (squares / norms.clamp_min(torch.finfo(wide).tiny)).sum(0)\n",
        "        added = (squares + 0 * norms).sum(0)\n",
        f"{GRIFFIN}::test_kept_neurons_have_the_largest_relative_activations_over_the_prompt",
    ),
    Bug(
        "guessed tokens choose neurons of the prompt",
        "statistics over padded or generated tokens",
        "prefill/answer_networks.py",
        "            self.choice.see(layer, activations[:left])\n",
        "            self.choice.see(layer, activations)\n",
        f"{GRIFFIN}::test_tokens_behind_the_prompt_do_not_choose",
    ),
    Bug(
        "a check asks for the likelihood at temperature 1",
        "thresholds that mean something else than Sirius' at 0.6",
        "engine/correction.py",
        "(law().float() / self.rule.temperature).softmax(-1)[token]",
        "law().float().softmax(-1)[token]",
        f"{SIRIUS}::test_tokens_and_passes_are_those_of_the_published_loop",
    ),
    Bug(
        "sparse entries stay in the cache",
        "the mode without KV rewriting, which Sirius' paper has for comparison",
        "engine/correction.py",
        "        cache.drop_newest(self.passes - start)\n",
        "        cache.drop_newest(max(0, self.passes - start - 1))\n",
        f"{SIRIUS}::test_a_threshold_above_one_gives_the_full_models_answer",
    ),
    Bug(
        "sparse tokens behind a rejected one are taken",
        "a chunk that is cut behind the last likely token instead of the first unlikely one",
        "engine/correction.py",
        "        if not taken:\n            self.begin(NO_DRAFT)\n        return taken\n",
        "        return True\n",
        f"{SIRIUS}::test_a_threshold_above_one_gives_the_full_models_answer",
    ),
)
