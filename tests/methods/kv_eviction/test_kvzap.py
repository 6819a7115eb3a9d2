"""KVzap: scores predicted from a layer's inputs, against a threshold, behind a window."""

import math

import pytest
import torch
from safetensors.torch import save_file

from forethought.contracts.errors import BadParameterError
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.new_tokens import LayerHook
from forethought.methods.kv_eviction.kvzap import KVzap
from tests.methods.decode_cuts import held_by
from tests.methods.reference import evicted_row, layers_after, prompt_of
from tests.sessions.tiny_session import TARGET, run
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

LENGTH, WINDOW = 40, 6


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def linear_maps(seed=0):
    draw = torch.Generator().manual_seed(seed)
    maps = {}
    for layer in range(3):
        maps[f"layers.{layer}.weight"] = torch.randn(2, 32, generator=draw) / 3
        maps[f"layers.{layer}.bias"] = torch.randn(2, generator=draw) / 3
    return maps


def deep_maps():
    draw = torch.Generator().manual_seed(1)
    maps = {}
    for layer in range(3):
        maps[f"layers.{layer}.0.weight"] = torch.randn(5, 32, generator=draw) / 3
        maps[f"layers.{layer}.0.bias"] = torch.randn(5, generator=draw)
        maps[f"layers.{layer}.2.weight"] = torch.randn(2, 5, generator=draw)
        maps[f"layers.{layer}.2.bias"] = torch.randn(2, generator=draw)
    return maps


def dot(row, x):
    return sum(float(a) * float(b) for a, b in zip(row, x, strict=True))


def score(maps, layer, x):
    """The scores [2] of a token's inputs, by loops."""
    name = f"layers.{layer}"
    if f"{name}.weight" in maps:
        rows = zip(maps[f"{name}.weight"], maps[f"{name}.bias"], strict=True)
        return [dot(row, x) + float(bias) for row, bias in rows]
    first = zip(maps[f"{name}.0.weight"], maps[f"{name}.0.bias"], strict=True)
    hidden = [dot(row, x) + float(bias) for row, bias in first]
    bent = [h * 0.5 * (1 + math.erf(h / math.sqrt(2))) for h in hidden]
    second = zip(maps[f"{name}.2.weight"], maps[f"{name}.2.bias"], strict=True)
    return [dot(row, bent) + float(bias) for row, bias in second]


@pytest.fixture(params=[linear_maps, deep_maps], ids=["linear", "deep"])
def maps(request):
    return request.param()


def saved(maps, tmp_path):
    save_file(maps, tmp_path / "model.safetensors")
    return str(tmp_path)


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.4])
def test_entries_below_the_threshold_are_dropped_behind_the_window(
    decoder, maps, tmp_path, threshold
):
    prompt, inputs = prompt_of(tokens_of(LENGTH), protected={1, 9}), []
    layers_after(decoder, list(prompt.tokens), shown=inputs)

    method = KVzap(saved(maps, tmp_path), threshold=threshold, window=WINDOW)
    _, row = evicted_row(decoder, method, prompt)

    for layer, heads in enumerate(held_by(decoder, row)):
        scores = [score(maps, layer, x) for x in inputs[layer].tolist()]
        for head, kept in enumerate(heads):
            stays = {1, 9, *range(LENGTH - WINDOW, LENGTH)}
            good = {j for j in range(LENGTH) if scores[j][head] >= threshold}
            assert kept == sorted(stays | good)


@pytest.mark.parametrize("every", [1, 3])
def test_an_answers_entries_are_judged_when_they_leave_the_window(decoder, tmp_path, every):
    maps, tokens = linear_maps(), tokens_of(LENGTH)
    method = KVzap(saved(maps, tmp_path), threshold=0.0, window=WINDOW, every=every)
    batch, row = batch_of(decoder), SequenceCache(3)
    row.query_window = QueryWindow(16, with_inputs=True)
    hook = LayerHook(method.on_layer, LENGTH)
    batch.prefill_whole(row, tokens, hook)
    review = DecodeEviction(method.on_layer, decoder, every, LENGTH, frozenset())
    seen = [[] for _ in range(3)]  # the inputs of all tokens, as the evicted cache gives them

    layers_seen = []
    layers_after(decoder, tokens, shown=layers_seen)
    for layer, inputs in enumerate(layers_seen):
        seen[layer] += inputs.tolist()
    for step in range(12):
        batch.step([row], [step])
        for layer in range(3):
            seen[layer].append(row.query_window.inputs.at(layer)[-1].tolist())
        review.after_step(row, batch.meter)
        newest = LENGTH + step
        judged = newest if (step + 1) % every == 0 else LENGTH + (step + 1) // every * every - 1
        for layer, heads in enumerate(held_by(decoder, row)):
            scores = [score(maps, layer, x) for x in seen[layer]]
            for head, kept in enumerate(heads):
                good = {j for j in range(newest + 1) if scores[j][head] >= 0.0}
                assert kept == sorted(good | set(range(judged - WINDOW + 1, newest + 1)))


def test_a_threshold_below_all_scores_is_exact(decoder, tmp_path):
    method = KVzap(saved(linear_maps(), tmp_path), threshold=-1e9, window=WINDOW)

    batch, row = evicted_row(decoder, method, prompt_of(tokens_of(LENGTH)))

    assert row.lengths() == (LENGTH,) * 3
    logits = batch.step([row], [1])[0]
    exact = fresh_logits(decoder, [*tokens_of(LENGTH), 1])
    torch.testing.assert_close(logits, exact, rtol=1e-5, atol=1e-6)


def test_a_prompt_within_the_window_needs_no_predictor():
    method, prompt = KVzap("nowhere", window=LENGTH), prompt_of(tokens_of(LENGTH))

    assert not method.pays(LENGTH)
    assert method.on_prompt(prompt, None, 4) is prompt


def test_files_of_something_else_are_refused(decoder, tmp_path):
    prompt = prompt_of(tokens_of(LENGTH))
    (tmp_path / "text").write_text("no tensors")
    for place in ("nowhere", str(tmp_path / "text"), str(tmp_path), ""):
        with pytest.raises(BadParameterError, match=r"no predictor of scores|cannot be read"):
            KVzap(place, window=WINDOW).on_prompt(prompt, None, 4)
    narrow = {name: part[..., :-1] for name, part in linear_maps().items()}
    few = {"layers.0.weight": linear_maps()["layers.0.weight"]}
    for number, wrong in enumerate((narrow, few)):
        save_file({n: t.contiguous() for n, t in wrong.items()}, tmp_path / f"{number}")
        with pytest.raises(BadParameterError, match="maps no 32 inputs to 2 scores"):
            evicted_row(decoder, KVzap(str(tmp_path / f"{number}"), window=WINDOW), prompt)


def test_it_runs_in_a_session_and_is_charged(tmp_path):
    layers, hidden = TARGET.network.shape.layers, TARGET.network.shape.hidden
    draw = torch.Generator().manual_seed(0)
    maps = {f"layers.{n}.weight": torch.randn(one.kv_heads, hidden, generator=draw)
            for n, one in enumerate(layers)}  # fmt: skip
    maps |= {f"layers.{n}.bias": torch.zeros(one.kv_heads) for n, one in enumerate(layers)}
    place = saved(maps, tmp_path)

    exact = run()
    once = run(approximate=(f"kvzap(predictor='{place}', threshold=0.0, window=16)",))
    again = run(approximate=(f"kvzap(predictor='{place}', threshold=0.0, window=16, every=2)",))
    off = run(approximate=(f"kvzap(predictor='{place}', threshold=-1e9, window=16)",))

    assert off["answer"] == exact["answer"]
    assert off["cost"]["flops"] > exact["cost"]["flops"]
    assert once["kept"]["cache_bytes"] < exact["kept"]["cache_bytes"]
    assert again["kept"] == once["kept"]
