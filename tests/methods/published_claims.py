"""The claims of methods whose note `Published:` says paper or code: defaults, source and test.

A new published method adds a line here. The settings are those of the source, without budgets,
resources and `protect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """The settings of a published method."""

    source: str
    """Where the settings stand."""
    test: str
    """The test that compares it with an independent reference."""
    settings: Mapping[str, object]


UNFINISHED = {"cpc", "r2c"}
"""Methods with the name of a paper that differ from it."""
_KV, _PC, _SEARCH = (
    "tests/methods/kv_eviction",
    "tests/methods/prompt_compression",
    "tests/methods/search",
)
CLAIMS = {
    "griffin": Claim(
        "arXiv:2404.01365, section 4: half of the neurons",
        "tests/methods/contextual_sparsity/test_griffin.py"
        "::test_kept_neurons_have_the_largest_relative_activations_over_the_prompt",
        {"density": 0.5},
    ),
    "cats": Claim(
        "Infini-AI-Lab/Sirius, fine-grained sparsity: half of each token's gates",
        "tests/methods/contextual_sparsity/test_cats.py"
        "::test_each_token_uses_the_neurons_of_its_strongest_gates",
        {"density": 0.5},
    ),
    "sirius": Claim(
        "arXiv:2409.03856 and Infini-AI-Lab/Sirius, main.py, without a tree",
        "tests/methods/contextual_sparsity/test_sirius.py"
        "::test_tokens_and_passes_are_those_of_the_published_loop",
        {"density": 0.5, "kernel": 16, "threshold": 0.1, "neurons": "prompt"},
    ),
    "expected-attention": Claim(
        "kvpress, ExpectedAttentionPress",
        f"{_KV}/test_expected_attention.py"
        "::test_scores_follow_the_published_steps_on_a_real_decoder",
        {"future": 512, "sinks": 4, "covariance": True, "value_norms": True, "epsilon": 0.0,
         "alpha": 1.0, "every": 0},
    ),
    "h2o": Claim(
        "arXiv:2306.14048, equal halves, an eviction after every token",
        f"{_KV}/test_h2o.py::test_heavy_hitters_and_the_newest_are_kept",
        {"recent": 0.5, "every": 1},
    ),
    "trie-lookahead": Claim(
        "github.com/alipay/PainlessInferenceAcceleration, lookahead_cache.py",
        "tests/methods/drafting/test_trie_lookahead.py"
        "::test_a_tree_has_the_most_frequent_runs_behind_the_newest_tokens",
        {"tokens": 64, "branch": 12, "query": 2, "output_weight": 1e-4},
    ),
    "tova": Claim(
        "kvpress, TOVAPress; arXiv:2401.06104, an eviction after every token",
        f"{_KV}/test_tova.py"
        "::test_all_heads_keep_the_entries_of_the_highest_mean_attention",
        {"every": 1},
    ),
    "kvzip": Claim(
        "kvpress, KVzipPress",
        f"{_KV}/test_kvzip.py"
        "::test_scores_are_the_most_attention_while_a_chunk_is_repeated",
        {"chunk": 2048, "overlap": 8, "sinks": 4, "allocation": "global"},
    ),
    "kvzip-plus": Claim(
        "kvpress, KVzipPress with kvzip_plus_normalization",
        f"{_KV}/test_kvzip.py"
        "::test_scores_are_the_most_attention_while_a_chunk_is_repeated",
        {"chunk": 2048, "overlap": 8, "sinks": 4, "allocation": "global"},
    ),
    "kvzap": Claim(
        "kvpress, KVzapPress under DMSPress",
        f"{_KV}/test_kvzap.py"
        "::test_entries_below_the_threshold_are_dropped_behind_the_window",
        {"threshold": -4.0, "window": 128, "every": 0},
    ),
    "compactor": Claim(
        "kvpress, CompactorPress",
        f"{_KV}/test_compactor.py"
        "::test_scores_blend_attention_and_leverage_by_the_share_dropped",
        {"sinks": 8, "window": 4, "sketch": 48, "blending": None, "scaled": False},
    ),
    "laq": Claim(
        "arXiv:2505.20334, LAQ++",
        f"{_KV}/test_laq.py::test_the_choice_follows_the_published_steps",
        {"lookahead": 8, "window": 8, "first_window": 32, "kernel": 7, "pool": "max"},
    ),
    "ada-snapkv": Claim(
        "FFY0/AdaKV, command line",
        f"{_KV}/test_published_heads.py"
        "::test_heads_keep_as_many_entries_as_the_published_steps",
        {"alpha": 0.2, "window": 32, "kernel": 7, "pool": "max", "every": 0},
    ),
    "pyramidkv": Claim(
        "Zefan-Cai/KVCache-Factory, runner",
        f"{_KV}/test_pyramidkv.py::test_each_layer_keeps_the_best_of_its_own_budget",
        {"beta": 20, "window": 8, "kernel": 7, "pool": "max", "every": 0},
    ),
    "chunkkv": Claim(
        "kvpress, ChunkKVPress over SnapKVPress",
        f"{_KV}/test_chunkkv.py::test_the_chunks_of_the_highest_mean_are_kept_whole",
        {"chunk_tokens": 20, "window": 64, "kernel": 5, "pool": "mean", "every": 0},
    ),
    "entropy-gated-chunkkv": Claim(
        "kvpress, EntropyGatedChunkKVPress over SnapKVPress",
        f"{_KV}/test_chunkkv.py"
        "::test_a_spiky_chunk_keeps_its_best_entries_and_the_budget_is_used_up",
        {"chunk_tokens": 10, "spiky_tokens": 4, "window": 64, "kernel": 5, "pool": "mean",
         "every": 0},
    ),
    "criticalkv": Claim(
        "kvpress, CriticalKVPress over SnapKVPress",
        f"{_KV}/test_criticalkv.py"
        "::test_the_published_choice_keeps_the_window_by_its_score_alone",
        {"first_share": 0.5, "epsilon": 1e-4, "alpha": 1.0, "window": 64, "kernel": 5,
         "pool": "mean", "every": 0},
    ),
    "duo-attention": Claim(
        "kvpress, DuoAttentionPress",
        f"{_KV}/test_whole_heads.py::test_the_heads_of_a_file_keep_all_or_the_ends",
        {"sinks": 128, "window": 256},
    ),
    "kvzip-heads": Claim(
        "snu-mllab/KVzip, level head",
        f"{_KV}/test_whole_heads.py::test_a_file_of_heads_decides_for_kvzip_too",
        {"sinks": 4},
    ),
    "keydiff": Claim(
        "kvpress, BlockPress over KeyDiffPress",
        f"{_KV}/test_keydiff.py::test_blocks_compete_as_the_paper_says",
        {"block": 128, "every": 0},
    ),
    "knorm": Claim(
        "arXiv:2406.11430",
        f"{_KV}/test_knorm.py::test_layers_after_the_second_keep_the_shortest_keys",
        {"whole_layers": 2, "every": 0},
    ),
    "streaming-llm": Claim(
        "kvpress, StreamingLLMPress",
        f"{_KV}/test_eviction.py::test_streaming_keeps_sinks_and_the_newest",
        {"sinks": 4, "every": 0},
    ),
    "snapkv": Claim(
        "FasterDecoding/SnapKV, set-up function",
        f"{_KV}/test_eviction.py::test_snapkv_keeps_what_the_published_steps_keep",
        {"window": 32, "kernel": 5, "pool": "mean", "every": 0},
    ),
    "speckv": Claim(
        "furiosa-ai/draft-based-approx-llm, configurations",
        f"{_KV}/test_eviction.py::test_speckv_keeps_what_the_published_steps_keep",
        {"window": 32, "kernel": 7, "pool": "max", "reduction": "max", "lookahead": None},
    ),
    "speckv-pc": Claim(
        "furiosa-ai/draft-based-approx-llm, configurations; its framework's look-ahead of 20",
        f"{_KV}/test_eviction.py"
        "::test_the_cascade_drafts_once_and_chooses_as_its_two_stages",
        {"prompt_window": 64, "prompt_kernel": 32, "prompt_reduction": "max", "first_layer": 8,
         "last_layer": None, "window": 32, "kernel": 7, "reduction": "max", "lookahead": 20},
    ),
    "gem-filter": Claim(
        "arXiv:2409.17422; the kernel of SalesforceAIResearch/GemFilter",
        f"{_PC}/test_gem_filter.py::test_the_choice_equals_the_published_steps",
        {"layers": None, "kernel": 5},
    ),
    "spec-prefill": Claim(
        "Jingyu6/speculative_prefill, look-ahead of 8",
        f"{_PC}/test_spec_prefill.py"
        "::test_without_protection_whole_chunks_stay_as_the_authors_choose_them",
        {"lookahead": 8, "kernel": 13, "chunk": 32, "in_place": True, "window": 1, "pool": "rows",
         "rotary": True, "layers": "all", "head": 0, "tail": 0, "backbone": 0.0},
    ),
    "specpc": Claim(
        "furiosa-ai/draft-based-approx-llm, configurations of the Qwen pair",
        f"{_PC}/test_specpc.py::test_the_defaults_are_those_of_the_authors_settings",
        {"window": 64, "pool": "max", "neighbours": None, "reduction": "max", "weighted": True,
         "lookahead": 1, "kernel": 64, "first_layer": 8, "last_layer": None},
    ),
    "llmlingua2": Claim(
        "microsoft/LLMLingua, PromptCompressor",
        f"{_PC}/test_llmlingua2.py"
        "::test_the_choice_equals_the_published_steps_at_the_highest_rate_that_fits",
        {"chunk": 510, "force": "", "digits": False},
    ),
    "hyper-attention": Claim(
        "arXiv:2310.05869, sizes of amirzandieh/HyperAttention",
        "tests/methods/sparse_prefill/test_hyper_attention.py"
        "::test_attention_is_that_of_the_definition",
        {"block": 256, "sample": 256, "exact": 2048, "bits": 8, "sampling": "uniform",
         "dense_layers": 0, "applies_to": "target"},
    ),
    "minference": Claim(
        "microsoft/MInference, heads without a search",
        "tests/methods/sparse_prefill/test_minference.py::test_a_prompt_is_read_as_by_loops",
        {"columns": 1000, "slashes": 6096, "sinks": 30, "nearest": 100, "queries": 64,
         "applies_to": "target"},
    ),
    "flash-prefill": Claim(
        "qhfan/FlashPrefillv2, README: 128 rows of a packed query group, 8 last tiles dense",
        "tests/methods/sparse_prefill/test_flash_prefill.py"
        "::test_blocks_and_attention_are_those_of_the_definition",
        {"alpha": 0.1, "block": 128, "sinks": 2, "window": 4, "last_rows": 1024,
         "dense_layers": 4, "means": True, "tile": 128, "applies_to": "target"},
    ),
    "vertical-slash": Claim(
        "furiosa-ai/draft-based-approx-llm, configurations",
        "tests/methods/sparse_prefill/test_vertical_slash.py::test_a_prompt_is_read_as_by_loops",
        {"columns": 2048, "window": 2048, "sinks": 0, "queries": 32, "kernel": 7,
         "lookahead": None},
    ),
    "best-of-n": Claim(
        "arXiv:2110.14168",
        f"{_SEARCH}/test_published_votes.py::test_the_best_of_n_is_the_first_of_highest_score",
        {"pick": "best", "power": 0.5, "enough": None, "window": 1},
    ),
    "diverse-beam": Claim(
        "arXiv:1610.02424",
        f"{_SEARCH}/test_diverse_beam.py::test_answers_are_those_of_the_published_loop",
        {"width": 1, "diversity": 0.5, "avoid": "place", "phrase": 2, "length": 1.0},
    ),
    "majority-vote": Claim(
        "arXiv:2203.11171",
        f"{_SEARCH}/test_published_votes.py::test_the_most_frequent_of_all_answers_wins",
        {"weight": "equal", "window": 4, "confident": 1.0},
    ),
    "particle-filter": Claim(
        "probabilistic-inference-scaling, particle_gibbs",
        f"{_SEARCH}/test_particle_filter.py::test_answers_follow_the_published_law",
        {"temperature": 0.8, "pick": "best", "depth": 40, "delimiter": "\n\n"},
    ),
    "rpc": Claim(
        "WNJXYK/RPC, compute_rpc",
        f"{_SEARCH}/test_rpc.py::test_what_wins_is_what_the_method_says",
        {"prune_by": "samples", "prune_from": 1},
    ),
    "temperature-vote": Claim(
        "arXiv:2510.02611",
        f"{_SEARCH}/test_published_votes.py::test_sampling_stops_where_the_published_rule_stops",
        {"low": 0.4, "high": 1.2, "temperatures": 9, "greedy": True, "window": 4, "within": 0.8,
         "across": 1.0},
    ),
    "agreement": Claim(
        "arXiv:2203.11171, section 3.4",
        "tests/methods/confidence/test_agreement.py"
        "::test_agreement_is_the_share_of_samples_in_the_answers_group",
        {},
    ),
    "deepconf": Claim(
        "facebookresearch/deepconf, online",
        f"{_SEARCH}/test_deepconf.py::test_votes_and_stops_are_those_of_the_published_steps",
        {"warmup": 16, "kept": 0.9, "window": 2048, "check": 64, "consensus": 1.0, "batch": 16},
    ),
    "group-confidence": Claim(
        "facebookresearch/deepconf, lowest group confidence",
        "tests/methods/confidence/test_group_confidence.py"
        "::test_the_value_is_the_measure_of_the_trace",
        {"measure": "lowest", "window": 2048, "reread": False},
    ),
    "hogwild": Claim(
        "eqimp/hogwild_llm, combined layout of the notebooks",
        f"{_SEARCH}/test_hogwild.py::test_workers_follow_the_published_steps",
        {"workers": 2, "layout": "combined", "check": 256, "finisher": 16},
    ),
    "spec-reason": Claim(
        "ruipeterpan/specreason, defaults of spec_reason.py",
        f"{_SEARCH}/test_spec_reason.py::test_the_chain_is_that_of_the_published_loop",
        {"theta": 7.0, "judge": "greedy", "first": 0, "step_tokens": 512, "temperature": 0.6,
         "delimiter": "\n\n"},
    ),
    "dvts": Claim(
        "huggingface/search-and-learn, defaults",
        f"{_SEARCH}/test_dvts.py::test_the_answer_is_that_of_the_published_loop",
        {"width": 4, "temperature": 0.8, "pick": "best", "depth": 40, "delimiter": "\n\n"},
    ),
    "tim": Claim(
        "arXiv:2507.16784, a buffer of 0 to 2 finished lists; `longest` only bounds texts",
        f"{_SEARCH}/test_tim.py"
        "::test_every_token_follows_from_a_fresh_prefill_of_the_kept_text",
        {"buffer": 2, "longest": 2000},
    ),
    "likelihood": Claim(
        "arXiv:2203.11171, normalised weighted sum",
        "tests/methods/scoring/test_likelihood.py"
        "::test_it_is_the_geometric_mean_of_the_chances_of_tokens_and_of_the_end",
        {},
    ),
    "reward-model": Claim(
        "Qwen/Qwen2.5-Math-PRM-7B, model card",
        "tests/methods/scoring/test_reward_model.py"
        "::test_scores_are_what_the_models_makers_compute",
        {"style": "tags", "tag": "<extra_0>", "delimiter": "\n\n", "combine": "last",
         "system": None},
    ),
    "self-certainty": Claim(
        "arXiv:2502.18581",
        "tests/methods/scoring/test_self_certainty.py"
        "::test_it_is_the_mean_over_tokens_of_the_divergence_from_uniform",
        {},
    ),
}  # fmt: skip
