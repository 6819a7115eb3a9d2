"""Bugs of drafted tokens: what is reported of them, what they see, and what remains of them."""

from tests.planted.bug import Bug

VERIFY = "tests/engine/test_verify.py"
SERVER = "tests/server/test_drafted_logprobs.py"
TREE = "tests/engine/attention/test_tree.py"
DRAFTING_BUGS = (
    Bug(
        "the log-probability of an accepted token is 0",
        "servers that report none for the tokens that a draft proposed",
        "engine/scheduler.py",
        "        events = self._choose(verified)\n",
        "        events = [\n"
        "            one._replace(sampled=type(one.sampled)(one.sampled.token, 0.0))\n"
        "            for one in self._choose(verified)\n"
        "        ]\n",
        f"{VERIFY}::test_what_is_reported_of_a_token_is_that_of_plain_decoding",
    ),
    Bug(
        "the server's log-probability of an accepted token is 0",
        "servers that report none for the tokens that a draft proposed",
        "engine/sequence.py",
        "        return chosen\n",
        "        return chosen if self.verified is None else type(chosen)(chosen.token, 0.0)\n",
        f"{SERVER}::test_accepted_tokens_of_a_predicted_answer_have_the_targets_log_probabilities",
    ),
    Bug(
        "rejected tokens stay in the cache",
        "crop() with the wrong sign, as assisted decoding of transformers had",
        "engine/verify.py",
        "        cache.retract(len(tree))\n",
        "        cache.retract(len(tree) - 1)\n",
        f"{VERIFY}::test_the_cache_is_that_of_plain_decoding_after_every_step",
    ),
    Bug(
        "an accepted token of another branch leaves its sibling's entry",
        "trees whose cache is cut instead of gathered",
        "engine/verify.py",
        "        cache.restore(self._at - self._entered)\n",
        "        cache.restore(0)\n",
        f"{VERIFY}::test_the_cache_is_that_of_plain_decoding_after_every_step",
    ),
    Bug(
        "a drafted token sees its siblings",
        "trees under a causal mask",
        "engine/attention/tree.py",
        "            hidden[row, list(path)] = False\n",
        "            hidden[row, : row + 1] = False\n",
        f"{TREE}::test_every_row_sees_the_cache_and_its_path_alone",
    ),
    Bug(
        "siblings stand at consecutive positions",
        "trees whose positions are those of the packed rows",
        "engine/new_tokens.py",
        "tuple(cache.next + depth for depth in depths)",
        "tuple(cache.next + place for place, _ in enumerate(depths))",
        f"{TREE}::test_every_row_sees_the_cache_and_its_path_alone",
    ),
    Bug(
        "the token behind a draft comes from the row before it",
        "off-by-one errors between drafted tokens and the logits that choose them",
        "engine/verify.py",
        "        row = self._at + 1\n",
        "        row = max(self._at, 0)\n",
        f"{VERIFY}::test_drafts_change_no_token_and_save_passes",
    ),
    Bug(
        "rejected tokens cost nothing",
        "speedups that count accepted tokens alone",
        "engine/sequence.py",
        "        self.drafting.charge(self.held.lengths(), len(tree))\n",
        "        self.drafting.charge(self.held.lengths(), 0)\n",
        f"{VERIFY}::test_drafts_are_charged_and_accepted_tokens_cost_what_plain_ones_do",
    ),
)
