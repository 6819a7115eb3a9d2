"""Plain answers and searches share one path: the same tokens, texts and costs, in linear time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import forethought
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET, run, session

SOURCE = Path(forethought.__file__).parent
LETTER = run(max_tokens=30)["answer"][4]
SETTINGS = {
    "as it is": {},
    "a stop string": {"stop": (LETTER,)},
    "a stop string that stays": {"stop": (LETTER,), "keep_stop": True},
    "an eviction": {"approximate": ("snapkv(keep=120)",)},
    "a compression": {"approximate": ("specpc-shallow(keep=150)",)},
    "the whole cache": {"approximate": ("kvzip(keep=150)",)},
    "a packed cache": {"approximate": ("quantised-kv(bits=8)",)},
    "one token": {"max_tokens": 1},
    "a token budget": {"budget": "7tok"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_greedy_as_a_search_is_the_plain_answer_and_costs_the_same(name):
    settings = {"max_tokens": 24, **SETTINGS[name]}

    plain = run("same-tokens", **settings)
    search = run("same-tokens", search="greedy", **settings)

    for field in ("answer", "finish", "kept", "exact"):
        assert search[field] == plain[field], field
    for field in plain["cost"]:
        if field not in ("seconds", "usd"):
            assert search["cost"][field] == pytest.approx(plain["cost"][field], rel=1e-12), field


def test_a_stop_string_that_stays_is_the_end_of_the_answer_everywhere():
    kept = {"max_tokens": 24, "stop": (LETTER,), "keep_stop": True}
    plain = run(**kept)
    assert plain["answer"].endswith(LETTER)
    assert plain["answer"].count(LETTER) == 1
    for search in ("greedy", "majority-vote(n=1)", "best-of-n(n=1)@likelihood"):
        strategy, _, scorer = search.partition("@")
        found = run(search=strategy, scorer=scorer, temperature=0.0, **kept)
        assert found["answer"] == plain["answer"], search


@pytest.mark.parametrize("settings", [{}, {"search": "greedy"}, {"search": "majority-vote(n=3)"}])
def test_few_frames_lie_between_a_session_and_the_decoder(settings, monkeypatch):
    forward, depths = type(TARGET.network).forward, {"prefill": set(), "decode": set()}

    def counted(*given, phase, **named):
        frame, frames = sys._getframe(1), 1
        while frame is not None:
            frames += frame.f_code.co_filename.startswith(str(SOURCE))
            frame = frame.f_back
        depths[phase].add(frames)
        return forward(*given, phase=phase, **named)

    monkeypatch.setattr(type(TARGET.network), "forward", counted)
    run(max_tokens=4, **settings)
    assert max(depths["decode"]) <= 8
    # A prefill has a stack of its own, so that it can be suspended.
    assert max(depths["prefill"]) <= 12


@pytest.mark.parametrize("search", ["", "majority-vote(n=1)"])
def test_the_text_of_a_long_answer_is_decoded_once(search, monkeypatch):
    decode, lengths = Tokenizer.decode, []

    def counted(self, tokens):
        lengths.append(len(tokens))
        return decode(self, tokens)

    monkeypatch.setattr(Tokenizer, "decode", counted)
    monkeypatch.setattr(TARGET.tokenizer, "ends", frozenset())
    totals = []
    for tokens in (100, 400):
        lengths.clear()
        found = run(max_tokens=tokens, stop=("never written",), search=search, temperature=1.5)
        totals.append(sum(lengths) / found["cost"]["output_tokens"])
        assert found["cost"]["output_tokens"] == tokens
    assert totals[1] < 1.2 * totals[0]


PASSES = ("batch", "correction", "scheduler", "shared_blocks", "static_step")
"""Modules with decode passes: `correction` guesses sparsely, and workers share blocks."""


def test_one_module_decodes_and_one_prepares_prompts():
    sources = {path: path.read_text("utf-8") for path in SOURCE.rglob("*.py")}

    def where(pattern):
        found = [path for path, text in sources.items() if re.search(pattern, text)]
        return sorted(str(path.relative_to(SOURCE)) for path in found)

    # The scheduler samples, but for workers of one answer, which step together in a slice of it.
    passes = [f"engine/{name}.py" for name in PASSES]
    assert where(r'phase="decode"') == passes
    assert where(r"(?<!def )\bchoose_all\(") == [
        "backends/local/workers.py",
        "engine/scheduler.py",
    ]
    assert where(r"\bcheck_context\(short") == ["prefill/prepare.py"]
    assert where(r"(?<!def )\bplan\(methods, prompt") == ["prefill/prepare.py"]
    assert where(r"(?<!def )\bStopMatcher\(") == [
        "backends/local/piece.py",
        "backends/openai/answer_stream.py",
        "backends/openai/completions.py",
    ]


def test_an_answer_streams_a_token_at_a_time():
    kinds = [event.kind for event in session(max_tokens=5).stream(QUESTION, DOCUMENT)]
    assert kinds.count("token") >= 5
    assert kinds.index("token") < kinds.index("done")
