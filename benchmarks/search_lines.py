"""The lines of search_table.py: recipes, tasks and settings of each table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Setting = tuple[str, Mapping[str, Any]]
"""The search of a recipe, and fields of the recipe that differ from those of the command."""

GSM8K, SVAMP = 'gsm8k(path="{data}gsm8k.jsonl"{more})', 'svamp(path="{data}svamp.jsonl"{more})'
STEPS = ("addition(digits=2{more})", "small-sat(variables=4, clauses=8{more})")
LANGUAGES = ("english", "german", "french", "spanish", "chinese")


@dataclass(frozen=True)
class Line:
    """Recipes on tasks, compared question by question; the first recipe is the baseline."""

    about: str
    recipes: tuple[Setting, ...]
    tasks: tuple[str, ...]
    """Spellings with {data} for the folder, and {more} for the number of questions."""
    count: int = 40
    """Questions of each task."""
    samples: int = 1
    """Runs per question."""
    budgets: Mapping[str, str] = field(default_factory=dict)
    """Budget of each recipe, by model; that of --budget goes before it."""
    up_to: int = 0
    """Answers up to which a forecast from the stored ones follows; 0 for no forecast."""
    false_positives: tuple[float, ...] = ()
    """Error rates of verifiers for whose best number of attempts a forecast asks."""
    routes: tuple[str, ...] = ()
    """Strategies among which a difficulty router chooses; the last recipe's cost is its measure."""


def plain(*searches: str) -> tuple[Setting, ...]:
    """Searches without settings of their own."""
    return tuple((one, {}) for one in searches)


def strategies(delimiter: str = "") -> tuple[Setting, ...]:
    """Every strategy, scored by the model itself where it needs a scorer."""
    more = f", delimiter='{delimiter}'" if delimiter else ""
    return plain(
        "majority-vote(n=8)",
        "greedy",
        "rpc(n=8, prune_by=texts, prune_from=16)",
        "temperature-vote(n=8, temperatures=3, window=2)",
        "best-of-n(n=8)@likelihood",
        "best-of-n(n=8)@self-certainty",
        "best-of-n(n=4)@self-judge",
        "adaptive(n=8)",
        "hedged(n=8)",
        "cross-lingual(n=4, evidence=2)",
        "checklist(n=5)",
        "self-refine",
        "sequential-revision(n=3)@self-judge",
        "tree-refine(branch=2, width=1, depth=2, judges=1)",
        "diverse-beam(groups=4)",
        f"beam(n=4, width=2{more})@self-judge",
        f"step-beam(n=2, width=2{more})@self-judge",
        f"dvts(trees=2, width=2{more})@self-judge",
        f"a-star(n=3{more})@self-judge",
        f"mcts(n=2, iterations=6{more})@self-judge",
        f"particle-filter(n=4{more})@self-judge",
        f"smc(n=4{more})@self-judge",
        f"particle-gibbs(n=3, iterations=2{more})@self-judge",
        f"parallel-tempering(n=2, chains=2, iterations=2{more})@self-judge",
    )


def noisy(rate: float) -> tuple[Setting, ...]:
    """Searches behind a checker that passes this share of wrong answers."""
    scorer = f"noisy-checker(false_positive={rate:g})"
    delimited = ", delimiter='\\n'"
    return plain(
        f"best-of-n(n=8)@{scorer}",
        f"beam(n=8, width=2{delimited})@{scorer}",
        f"particle-filter(n=8{delimited})@{scorer}",
        f"smc(n=8{delimited})@{scorer}",
    )


LINES: Mapping[str, Line] = {
    "rpc": Line(
        "likelihood votes at 32 and 64 answers, where pruning works, beside the majority",
        plain("majority-vote(n=64)", "rpc(n=64)", "rpc(n=32)"),
        (GSM8K,),
    ),
    "strategies-gsm8k": Line(
        "every strategy at the FLOPs of eight votes, GSM8K",
        strategies(),
        (GSM8K,),
        budgets={"qwen-coder-0.5b": "2.6TFLOP", "qwen-coder-1.5b": "8TFLOP"},
    ),
    "strategies-svamp": Line(
        "every strategy at the FLOPs of eight votes, SVAMP",
        strategies(),
        (SVAMP,),
        budgets={"qwen-coder-0.5b": "1.5TFLOP", "qwen-coder-1.5b": "4.6TFLOP"},
    ),
    "strategies-steps": Line(
        "every strategy at the FLOPs of eight votes, two tasks whose steps are lines",
        strategies("\\n"),
        STEPS,
        budgets={"qwen-coder-0.5b": "1TFLOP", "qwen-coder-1.5b": "3TFLOP"},
    ),
    "temperature": Line(
        "bag of tricks: sampling temperature",
        tuple(
            ("majority-vote(n=8)", {"temperature": t}) for t in (0.7, 0.3, 0.5, 0.6, 0.8, 0.9, 1.0)
        ),
        (GSM8K,),
    ),
    "top-p": Line(
        "bag of tricks: nucleus",
        tuple(("majority-vote(n=8)", {"top_p": p}) for p in (1.0, 0.9, 0.8, 0.7, 0.6)),
        (GSM8K,),
    ),
    "prompt": Line(
        "bag of tricks: instruction",
        plain("greedy", "majority-vote(n=8)"),
        tuple(
            GSM8K.replace("{more}", f", prompt={one}{{more}}")
            for one in ("standard", "steps", "reflect")
        ),
    ),
    "scorer": Line(
        "bag of tricks: scorers of the same eight answers; checker is the perfect verifier",
        plain(
            "majority-vote(n=8)",
            *(
                f"best-of-n(n=8)@{one}"
                for one in ("likelihood", "self-certainty", "self-judge", "checker")
            ),
        ),
        (GSM8K,),
    ),
    "noisy-checker": Line(
        "searches behind a verifier that errs consistently; the best number of attempts",
        (*plain("majority-vote(n=8)"), *noisy(0.0), *noisy(0.05), *noisy(0.2)),
        ("addition(digits=2{more})",),
        false_positives=(0.0, 0.05, 0.2),
    ),
    "coverage": Line(
        "coverage of 1,024 answers to ten questions, with its law and the plateaus of votes",
        plain("majority-vote(n=64)"),
        (GSM8K,),
        count=10,
        samples=16,
        up_to=4096,
    ),
    "router": Line(
        "a difficulty router at a quarter of the tokens of best of 16",
        plain(
            "majority-vote(n=16)",
            "greedy",
            "majority-vote(n=2)",
            "majority-vote(n=4)",
            "majority-vote(n=8)",
            "best-of-n(n=16)@self-judge",
        ),
        (GSM8K,),
        routes=("greedy", "majority-vote(n=2)", "majority-vote(n=4)", "majority-vote(n=8)"),
    ),
    "particles": Line(
        "the published particle filter and the one of the stated law, scored by the model itself",
        plain(
            "majority-vote(n=8)",
            "particle-filter(n=8)@self-judge",
            "smc(n=8)@self-judge",
            "smc(n=8, target=steps)@self-judge",
        ),
        (GSM8K,),
    ),
    "temperature-vote": Line(
        "union coverage of nine temperatures and the answers an early stop saves, at equal numbers",
        plain(
            "majority-vote(n=40)",
            "temperature-vote(n=40)",
            "temperature-vote(n=40, window=40)",
        ),
        (GSM8K,),
    ),
    "adaptive": Line(
        "answers that an adaptive search draws, and the score it keeps",
        plain(
            "majority-vote(n=16)",
            "greedy",
            "adaptive(n=16)",
            "adaptive(n=16, begin=0)",
            "adaptive(n=16, begin=0, enough=none)",
        ),
        (GSM8K,),
    ),
    "languages": Line(
        "free-form choices in five languages, the same numbers in each",
        plain(
            "majority-vote(n=5)",
            "greedy",
            "hedged(n=5)",
            "cross-lingual(n=5, evidence=3)",
            "checklist(n=5)",
        ),
        tuple(f"multilingual-arithmetic(language={one}{{more}})" for one in LANGUAGES),
        count=20,
    ),
    "instructions": Line(
        "revisions of texts with checkable constraints",
        plain(
            "greedy",
            "best-of-n(n=5)@self-judge",
            "hedged(n=5)",
            "checklist(n=5)",
            "self-refine",
            "tree-refine",
        ),
        ("instruction-following(constraints=3{more})",),
        count=40,
    ),
}
