"""Greedy answers in float32 by every drafter: many prompts, in company, are those of no drafter.

More prompts: `LOSSLESS_PROMPTS=200 scripts/test -m slow tests/sessions/test_lossless_drafts.py`.
"""

from __future__ import annotations

import itertools
import os
import random
from functools import cache

import pytest
import torch

from forethought import catalogue
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.tiny_model import tiny_model

PROMPTS = int(os.environ.get("LOSSLESS_PROMPTS", "10"))
MODELS = {
    "target": tiny_model("target", seed=1, dtype=torch.float32),
    "same-tokens": tiny_model("small", seed=1, scale=0.355, dtype=torch.float32),
    "other-tokens": tiny_model("foreign", seed=3, merges=60, dtype=torch.float32),
}
DRAFTERS = {
    "prompt-lookup(match=1)": "self",
    "trie-lookahead": "self",
    "prediction": "self",
    "draft-model(chance=0)": "same-tokens",
    "draft-model(chance=0,tokens=3)": "other-tokens",
    "own-layers(layers=2,chance=0)": "self",
    "draft-lookahead": "same-tokens",
}
"""Each with its draft model: the target with other weights by 1.4 %, or another model."""
TAKEN = {
    "prediction",
    "draft-model(chance=0)",
    "own-layers(layers=2,chance=0)",
    "draft-lookahead",
}
"""Those whose drafts random weights follow."""
APPROXIMATIONS = ("", "truncate(keep=0.5)", "snapkv(keep=120, every=6)")
"""Exact, a shortened prompt, and an eviction that goes on during decode."""
AHEAD = {
    "": ("speckv(keep=250)",),
    "truncate(keep=0.5)": ("truncate(keep=0.5)", "speckv(keep=120)"),
    "snapkv(keep=120, every=6)": ("speckv(keep=250)", "quantised-kv(bits=8)"),
}
"""In their place, methods that write the look-ahead of draft-lookahead: only they do."""
ANSWER = 24
WORDS = ["lamp", "harbour", "keeper", "stair", "gale", "iron", "quay", "rope", "lens", "tide"]


def test_every_drafter_is_in_the_matrix():
    known = {name for name in catalogue.entries() if catalogue.build(name).drafts_answers()}
    assert {name.partition("(")[0] for name in DRAFTERS} == known


def texts(seed):
    """A question and a document, of about 300 tokens."""
    rng = random.Random(seed)
    lines = [
        f"The {rng.choice(WORDS)} of {rng.choice(WORDS)} {n} is {rng.randrange(100)}."
        for n in range(9)
    ]
    return f"What is the {rng.choice(WORDS)} {rng.randrange(9)}?", "\n".join(lines)


def predicted(seed, answer):
    """The right answer, with a token replaced: what a client may expect."""
    tokens = list(MODELS["target"].tokenizer.encode(answer))
    if tokens:
        tokens[seed % len(tokens)] = 7
    return tuple(tokens)


def answers(samples, methods, draft, expected=()):
    """What is told of the answers to all prompts, which one session decodes together."""
    ticks = itertools.count().__next__
    opener = LocalOpener(lambda name, weights: MODELS[name], Recipe(model="target"), ticks)
    session = LiveSession(opener, ticks)
    recipe = Recipe(
        model="target", draft=draft, approximate=methods, samples=samples, max_tokens=ANSWER
    )
    for seed in range(PROMPTS):
        known = predicted(seed, expected[seed]["answer"]) if expected else ()
        session.submit(LiveRequest(str(seed), recipe, *texts(seed), predicted=known))
    found = {}
    while not session.idle:
        for name, event in session.step():
            found[name] = event
    return [found[str(seed)].data["run"] for seed in range(PROMPTS)]


@cache
def plain(samples, *methods, draft="self"):
    return answers(samples, methods, draft)


def shown(run):
    """What is told of an answer's tokens."""
    texts = [(one["text"], one["finish"], one["tokens"]) for one in run["candidates"]]
    return run["answer"], texts, run["cost"]["output_tokens"]


def chances(runs):
    return [one["log_probability"] for run in runs for one in run["candidates"]]


@pytest.mark.slow
@pytest.mark.parametrize("method", APPROXIMATIONS)
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("drafter", DRAFTERS)
def test_greedy_answers_are_those_without_drafts(drafter, samples, method):
    ahead, draft = drafter == "draft-lookahead", DRAFTERS[drafter]
    methods = AHEAD[method] if ahead else (method,) if method else ()
    expected = plain(samples, *methods, draft=draft if ahead else "self")

    found = answers(samples, (*methods, drafter), draft, expected)

    assert [shown(one) for one in found] == [shown(one) for one in expected]
    assert chances(found) == pytest.approx(chances(expected), abs=1e-2)
    costs = [one["cost"] for one in found]
    assert sum(one["verified_tokens"] for one in costs) > 0
    assert drafter not in TAKEN or sum(one["accepted_tokens"] for one in costs) > PROMPTS
    assert len({one["answer"] for one in expected}) > PROMPTS // 2
