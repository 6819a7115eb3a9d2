"""HyperAttention against its definition, its limits, and the law of its estimate."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from forethought.engine.attention.prefill import Visibility, attend_causal
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from forethought.methods.sparse_prefill import _hashed
from forethought.methods.sparse_prefill.hyper_attention import HyperAttention
from tests.engine.written_out import inputs, shape_of, view_over
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

SMALL = HyperAttention(block=8, sample=8, exact=20, bits=5)
LENGTH = 97


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def bucket_of(vector, hashes):
    """The place of a hash in the list of Gray codes."""
    signs = [float(vector.double() @ hashes[:, bit].double()) > 0 for bit in range(hashes.shape[1])]
    code = sum(sign << bit for bit, sign in enumerate(signs))
    return [n ^ (n >> 1) for n in range(1 << hashes.shape[1])].index(code)


class Slow:
    """HyperAttention of one layer, one query and one key at a time."""

    def __init__(self, queries, keys, values, method, scale):
        self.queries, self.keys, self.values = queries.double(), keys.double(), values.double()
        self.scale = scale
        self.method = method
        self.hashes = torch.randn(
            keys.shape[-1], method.bits, generator=torch.Generator().manual_seed(method.seed)
        )
        self.draws = torch.Generator().manual_seed((method.seed << 16) + 1)

    def outputs(self):
        groups = self.queries.shape[1] // len(self.keys)
        rows = {}
        for kv in range(len(self.keys)):
            terms = {}
            self.causal(kv, groups, 0, len(self.queries), terms)
            for (row, head), (weight, total) in terms.items():
                rows[row, head] = total / weight
        heads = self.queries.shape[1]
        return torch.stack(
            [torch.cat([rows[t, h] for h in range(heads)]) for t in range(len(self.queries))]
        )

    def add(self, terms, kv, row, head, key, weight):
        part = weight * math.exp(self.scale * float(self.queries[row, head] @ self.keys[kv, key]))
        before = terms.get((row, head), (0.0, 0.0))
        terms[row, head] = before[0] + part, before[1] + part * self.values[kv, key]

    def causal(self, kv, groups, start, stop, terms):
        heads = range(kv * groups, (kv + 1) * groups)
        if stop - start <= self.method.exact:
            for row in range(start, stop):
                for head in heads:
                    for key in range(start, row + 1):
                        self.add(terms, kv, row, head, key, 1.0)
            return
        middle = start + math.ceil((stop - start) / 2)
        self.causal(kv, groups, middle, stop, terms)
        self.between(kv, heads, range(middle, stop), range(start, middle), terms)
        self.causal(kv, groups, start, middle, terms)

    def between(self, kv, heads, rows, seen, terms):
        if len(seen) > self.method.exact:
            return self.estimated(kv, heads, rows, seen, terms)
        for row in rows:
            for head in heads:
                for key in seen:
                    self.add(terms, kv, row, head, key, 1.0)
        return None

    def estimated(self, kv, heads, rows, seen, terms):
        method, blocks = self.method, math.ceil(len(seen) / self.method.block)
        tile = math.ceil(len(rows) / blocks)
        ranked = sorted(seen, key=lambda key: bucket_of(self.keys[kv, key], self.hashes))
        drawn = []
        if method.sampling == "uniform" and method.sample:
            drawn = torch.randint(len(seen), (method.sample,), generator=self.draws).tolist()
        first = list(seen)[: method.sample] if method.sampling == "first" else []
        for head in heads:
            order = sorted(rows, key=lambda r, h=head: bucket_of(self.queries[r, h], self.hashes))
            for place, row in enumerate(order):
                block = place // tile
                own = ranked[block * method.block : (block + 1) * method.block]
                for key in [*own, *first]:
                    self.add(terms, kv, row, head, key, 1.0)
                for sample in drawn:
                    if sample // method.block != block:
                        weight = len(seen) / method.sample
                        self.add(terms, kv, row, head, ranked[sample], weight)


def attended(queries, keys, values, method, **changes):
    return method.on_attention(view_over(queries, keys, values, shape_of(**changes)))


@pytest.mark.parametrize(
    "changes", [{}, {"sampling": "first"}, {"sample": 0}, {"block": 5, "bits": 3, "seed": 4}]
)
def test_attention_is_that_of_the_definition(changes):
    queries, keys, values = inputs(LENGTH, LENGTH)
    method = replace(SMALL, **changes)

    out = attended(queries, keys, values, method).out

    expected = Slow(queries, keys, values, method, 0.4).outputs()
    torch.testing.assert_close(out, expected)
    dense = attend_causal(queries, keys, values, shape_of(), Visibility())
    assert not torch.allclose(out, dense)


def test_a_block_over_all_keys_without_a_sample_is_dense():
    queries, keys, values = inputs(LENGTH, LENGTH)

    out = attended(queries, keys, values, replace(SMALL, block=LENGTH, sample=0)).out

    dense = attend_causal(queries, keys, values, shape_of(), Visibility())
    torch.testing.assert_close(out, dense)


@pytest.mark.parametrize("first", [1, 40, 96])
def test_tokens_after_cached_entries_see_all_of_them(first):
    queries, keys, values = inputs(LENGTH, LENGTH)

    out = attended(queries[first:], keys, values, replace(SMALL, block=LENGTH, sample=0)).out

    dense = attend_causal(queries, keys, values, shape_of(), Visibility())
    torch.testing.assert_close(out, dense[first:])


def test_the_sample_estimates_the_sum_over_keys_outside_the_block_without_bias():
    queries, keys, values = inputs(30, 60, heads=2)
    view = view_over(queries, keys, values, replace(shape_of(), heads=2))
    estimates = []
    for seed in range(400):
        rule = replace(SMALL, seed=seed)._rule(replace(view, layer=0))
        rule = replace(rule, hashes=torch.randn(16, 5, generator=torch.Generator().manual_seed(1)))
        halves = _hashed._Halves(
            0.4 * queries[:, :1].transpose(0, 1), keys[0], values[0], None, rule
        )
        estimates.append(halves._estimated(slice(30, 60), slice(0, 30)).log_sum.exp())

    exact = (0.4 * queries[:, 0] @ keys[0, :30].T).exp().sum(-1)

    spread = torch.stack(estimates).squeeze().std(0) / 20
    found = torch.stack(estimates).squeeze().mean(0)
    assert ((found - exact).abs() < 5 * spread + 1e-9).all()


def test_parts_over_disjoint_keys_merge_in_any_order():
    scores, values = torch.randn(2, 3, 12).double(), torch.randn(12, 4).double()
    weigh = _hashed._Halves._part
    parts = [
        weigh(None, scores[..., own].clone(), values[own])
        for own in ([0, 3], [1], [*range(4, 12), 2])
    ]

    whole = weigh(None, scores.clone(), values)

    for order in ([0, 1, 2], [2, 1, 0]):
        merged = parts[order[0]].merged(parts[order[1]]).merged(parts[order[2]])
        torch.testing.assert_close(merged.out, whole.out)
        torch.testing.assert_close(merged.log_sum, whole.log_sum)
    nothing = weigh(None, torch.full((2, 3, 1), -torch.inf).double(), values[:1])
    assert torch.equal(parts[0].merged(nothing).out, parts[0].out)
    assert torch.equal(nothing.merged(parts[0]).out, parts[0].out)


def test_neighbouring_buckets_differ_in_one_bit():
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 6)
    buckets = _hashed._buckets(signs, torch.eye(6)).tolist()
    codes = [row for _, row in sorted(zip(buckets, (signs > 0).tolist(), strict=True))]

    assert sorted(buckets) == list(range(64))
    assert all(sum(a != b for a, b in zip(*pair, strict=True)) == 1 for pair in pairwise(codes))


def test_no_query_sees_a_later_token():
    queries, keys, values = inputs(LENGTH, LENGTH)
    changed = [held.clone() for held in (queries, keys, values)]
    for held in (changed[0][60:], changed[1][:, 60:], changed[2][:, 60:]):
        held.mul_(-2)

    before, after = (
        attended(*tensors, SMALL).out for tensors in ([queries, keys, values], changed)
    )

    # Which queries share a block depends on the whole later half, tokens 49 to 96.
    assert torch.equal(before[:49], after[:49])
    assert ((before[60:] - after[60:]).abs().amax(1) > 0).all()


def test_weights_sum_to_one_over_earlier_tokens_and_the_token_itself():
    queries, keys, _ = inputs(LENGTH, LENGTH)
    values = torch.eye(LENGTH, dtype=torch.float64).expand(2, -1, -1)  # the output is the weights

    weights = attended(queries, keys, values, SMALL).out.view(LENGTH, 6, -1).transpose(0, 1)

    torch.testing.assert_close(weights.sum(-1), torch.ones(6, LENGTH, dtype=torch.float64))
    assert (weights >= 0).all()
    assert (weights.triu(1) == 0).all()


def test_the_pairs_count_blocks_samples_and_exact_products():
    queries, keys, values = inputs(80, 80)

    pairs = attended(queries, keys, values, SMALL).pairs

    # Four stretches of 20, two exact products between neighbours, one estimate between halves.
    exact = 4 * 20 * 21 / 2 + 2 * 20 * 20
    assert pairs == exact + 40 * (8 + 8 + 5 / 2)


def test_bfloat16_stays_close_to_the_same_attention_in_float64():
    queries, keys, values = inputs(LENGTH, LENGTH, dtype=torch.bfloat16)
    method = replace(SMALL, block=LENGTH, sample=0)

    out = attended(queries, keys, values, method).out

    assert out.dtype == torch.bfloat16
    dense = attend_causal(*(x.double() for x in (queries, keys, values)), shape_of(), Visibility())
    assert (out.double() - dense).abs().max() < 0.03


def test_short_prompts_and_layers_with_a_window_stay_dense():
    decoder, tokens = tiny_decoder(), tokens_of(40)
    hook = LayerHook(lambda view: None, 40, attend=SMALL.on_attention)

    logits = batch_of(decoder).prefill_whole(SequenceCache(3), tokens, hook)[-1]

    assert not SMALL.pays(40)
    assert SMALL.pays(41)
    assert torch.equal(logits, fresh_logits(decoder, tokens))
    queries, keys, values = inputs(LENGTH, LENGTH)
    assert attended(queries, keys, values, SMALL, window=30) is None
    assert attended(queries, keys, values, replace(SMALL, dense_layers=1)) is None


def test_a_prompt_is_read_alike_in_every_run(monkeypatch):
    decoder, tokens = tiny_decoder(seed=3), tokens_of(LENGTH)

    def read(method):
        hook = LayerHook(lambda view: None, LENGTH, attend=method.on_attention)
        return batch_of(decoder).prefill_whole(SequenceCache(3), tokens, hook)[-1]

    first = read(SMALL)

    assert torch.equal(first, read(SMALL))
    assert not torch.equal(first, read(replace(SMALL, seed=1)))
    assert not torch.allclose(first, fresh_logits(decoder, tokens))
