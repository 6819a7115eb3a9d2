"""The benchmark of draft and target attention, beside the methods whose scores it compares."""

from __future__ import annotations

import importlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.layer_attention import (
    LayerRows,
    agreement,
    at_same_depth,
    joined,
    method_of,
    rank_correlations,
    read_draft,
    read_target,
    scores,
)
from scipy.stats import spearmanr

from forethought.contracts.errors import BadParameterError
from forethought.engine.meter import Meter
from forethought.methods.prompt_compression.specpc import SpecPC
from forethought.methods.prompt_compression.specpc_shallow import SpecPCShallow
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.draft_model import ModelDraft
from tests.cli.tiny_folder import write_tiny_model
from tests.tiny_model import TEMPLATE, tiny_model

ROOT = Path(__file__).parents[2]
TARGET = tiny_model("target", seed=1, num_hidden_layers=8)
SAME = tiny_model("same", seed=2, num_hidden_layers=10)
FOREIGN = tiny_model("foreign", seed=3, merges=60, num_hidden_layers=10)
PROMPT = chat_prompt(TARGET.tokenizer, TEMPLATE, "What of it?", "Bytes, two control tokens. " * 12)
FREE = [place for place in range(len(PROMPT) - 64) if place not in PROMPT.protected]


def draft_of(model):
    return ModelDraft(model, TARGET, Meter(lambda: 0.0))


@pytest.fixture(scope="module")
def read():
    with torch.inference_mode():
        return read_target(draft_of(TARGET), PROMPT, 3)


def test_rank_correlations_are_spearmans_with_ties():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, (3, 40)), rng.integers(0, 9, (2, 40))

    found = rank_correlations(first, second)

    wanted = [[spearmanr(one, two).statistic for two in second] for one in first]
    assert found == pytest.approx(np.array(wanted))
    assert rank_correlations(np.ones((1, 40)), second) == pytest.approx(np.zeros((1, 2)))


@pytest.mark.parametrize("model", [SAME, FOREIGN, TARGET], ids=lambda model: model.name)
@pytest.mark.parametrize("queries", [0, 2])
def test_joined_layers_choose_the_tokens_that_the_method_chooses(model, queries):
    draft = draft_of(model)
    settings = {"keep": 0.5, "lookahead": queries + 1}
    method = (SpecPCShallow if draft.is_self else SpecPC)(**settings)
    used = method.layers_of(draft)
    with torch.inference_mode():
        wanted = method.on_prompt(PROMPT, draft, 8)
        rows = read_draft(draft, PROMPT, 3).after(queries)

    choice = method_of(draft, 0.5).choice(PROMPT, used)
    found = choice.chosen(PROMPT, draft, joined(rows[used.start : used.stop]))

    assert found.origins == wanted.origins
    assert len(wanted.origins) == len(PROMPT) // 2


def test_drafted_queries_raise_scores_and_an_ended_draft_keeps_its_last():
    with torch.inference_mode():
        rows = read_draft(draft_of(SAME), PROMPT, 3)

    by_queries = [torch.stack([one.scores for one in rows.after(count)]) for count in range(4)]

    assert rows.queries == 3
    for fewer, more in itertools.pairwise(by_queries):
        assert (more >= fewer).all()
        assert (more > fewer).any()
    assert rows.after(9) is rows.after(3)


def test_the_targets_importance_is_that_of_the_queries_that_decode_its_answer(read):
    tokens, wanted = draft_of(TARGET).read(PROMPT, lambda view: None, lookahead=4), {}
    whole = [*PROMPT.tokens, *tokens[:3]]
    longer = chat_prompt(TARGET.tokenizer, "", "x")
    longer = type(longer)(tuple(whole), ((0, 0),) * len(whole), "")

    def look(view):
        rows = torch.cat(list(view.window_rows(4)), 2)[..., : len(PROMPT)]
        wanted[view.layer] = rows.amax((0, 1, 2))

    with torch.inference_mode():
        draft_of(TARGET).read(longer, look)

    assert len(read.answer) == 8
    for layer, rows in enumerate(read.answer):
        assert torch.allclose(rows.scores.double(), wanted[layer].double(), atol=1e-6)


def test_the_targets_own_answer_agrees_with_itself_fully(read):
    rows = LayerRows(64, True, "max", [read.answer])

    found = agreement(read, read.target, rows, 0, [0.5])

    used = SpecPCShallow().layers_of(read.target)
    assert found.by_layer.shape == (8, used.stop)
    assert np.diag(found.by_layer) == pytest.approx(np.ones(used.stop))
    assert np.triu(found.by_layer, 1).max() < 0.999
    assert found.fused < 1  # the first layers alone, beside all layers


@pytest.mark.parametrize("model", [SAME, FOREIGN], ids=lambda model: model.name)
def test_another_models_agreement_is_that_of_its_carried_scores(read, model):
    draft = draft_of(model)
    with torch.inference_mode():
        rows = read_draft(draft, PROMPT, 3)

    found = agreement(read, draft, rows, 2, [0.5, 0.6])

    ours, theirs = (
        [owner.carry(one.scores, PROMPT)[FREE].numpy() for one in layers]
        for owner, layers in ((draft, rows.after(2)), (draft_of(TARGET), read.answer))
    )
    assert found.by_layer.shape == (8, 10)
    assert found.by_layer[5, 3] == pytest.approx(spearmanr(theirs[5], ours[3]).statistic)
    fused = np.max(ours[8:], 0), np.max(theirs, 0)
    assert found.fused == pytest.approx(spearmanr(*fused).statistic)
    assert found.queries == 2
    assert scores(rows.after(2), draft, PROMPT, FREE).shape == (10, len(FREE))
    for share in (0.5, 0.6):
        kept, wanted = (
            set(choice_of(draft, share).chosen(PROMPT, owner, joined(layers)).origins) & {*FREE}
            for owner, layers in ((draft, rows.after(2)[8:]), (draft_of(TARGET), read.answer))
        )
        assert found.overlaps[share] == len(kept & wanted) / len(wanted)
        assert found.chances[share] == len(kept) / len(FREE)
        assert 0 < found.chances[share] < 1


def choice_of(draft, share):
    return SpecPC(keep=share).choice(PROMPT, range(8, draft.layers))


def test_a_draft_without_layers_that_score_is_refused(read):
    small = tiny_model("small", seed=4, num_hidden_layers=8)
    with torch.inference_mode():
        rows = read_draft(draft_of(small), PROMPT, 0)

    with pytest.raises(
        BadParameterError, match="small has 8 layers, but its scores begin at layer 8"
    ):
        agreement(read, draft_of(small), rows, 0, [0.5])


def test_layers_pair_by_their_relative_depth():
    assert [at_same_depth(layer, 5, 3) for layer in range(5)] == [0, 0, 1, 2, 2]
    assert at_same_depth(0, 1, 7) == 0


def test_the_command_prints_tables_and_writes_rows_and_a_drawing(tmp_path, monkeypatch, capsys):
    model, text = tmp_path / "tiny", tmp_path / "prose.txt"
    write_tiny_model(model)
    text.write_text("\n\n".join(f"Paragraph {n} of some prose." for n in range(40)))
    files = [tmp_path / "rows.json", tmp_path / "drawing.svg"]
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    program = importlib.import_module("attention_agreement")
    arguments = f"{model} --drafts self --queries 0 2 --tokens 500 --prompts 2 --shares 0.5"
    given = [*arguments.split(), "--text", str(text)]
    given += ["--results", str(files[0]), "--drawing", str(files[1])]
    monkeypatch.setattr("sys.argv", ["attention_agreement.py", *given])

    program.main()

    found, printed = json.loads(files[0].read_text()), capsys.readouterr()
    assert [(row["draft"], row["queries"]) for row in found["summary"]] == [
        ("self", 0),
        ("self", 2),
    ]
    assert [row["layer"] for row in found["layers"]] == [0, 1, 0, 1]
    for row in found["summary"]:
        layers = [one for one in found["layers"] if one["queries"] == row["queries"]]
        mean = sum(one["same depth"] for one in layers) / 2
        assert row["same depth"] == pytest.approx(mean)
        assert json.dumps(row) in printed.out
    assert "| draft | layer | 0 queries | 2 queries | best layer |" in printed.err
    assert files[1].read_text().count("<polyline") == 4
