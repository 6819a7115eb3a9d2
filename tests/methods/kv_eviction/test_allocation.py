"""Budgets: exact sums, floors, falling lines, and heads or layers that compete."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.allocation.global_ import GlobalAllocation
from forethought.methods.kv_eviction.allocation.integer_pyramid import IntegerPyramid
from forethought.methods.kv_eviction.allocation.pyramid import Pyramid
from forethought.methods.kv_eviction.allocation.rounded_adaptive import RoundedAdaptive
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.numerics.apportionment import apportioned, falling_budgets

small = st.integers(0, 40)


def published_pyramid(layers, mean, beta, cap):
    """The published integer schedule, step by step."""
    low = mean // beta
    high = 2 * mean - low
    if high >= cap:
        high = cap
        low = 2 * mean - high
    step = (high - low) // (layers - 1)
    return [high - layer * step for layer in range(layers)]


def room_of(scores, each, *, layer=0, layers=1, capacity=None):
    return LayerRoom(layer, layers, each, capacity or scores.shape[1], scores)


def random_scores(seed, heads, entries):
    return torch.rand(heads, entries, generator=torch.Generator().manual_seed(seed))


@given(st.lists(st.tuples(st.floats(0, 30), small), min_size=1, max_size=8), st.integers(0, 300))
def test_apportioned_shares_sum_to_the_total_or_to_all_caps(pairs, more):
    quotas, caps = zip(*pairs, strict=True)
    total = int(sum(quotas)) + 1 + more

    shares = apportioned(quotas, total, caps)

    assert sum(shares) == min(total, sum(caps))
    assert all(min(int(q), cap) <= s <= cap for q, s, cap in zip(quotas, shares, caps, strict=True))


def test_what_is_missing_goes_to_the_largest_remainders_and_of_equals_to_the_first():
    assert apportioned([1.5, 1.7, 1.5, 1.3], 6, [9] * 4) == [2, 2, 1, 1]
    assert apportioned([1.5, 1.7, 1.5, 1.3], 6, [9, 1, 9, 9]) == [2, 1, 2, 1]


@given(st.integers(2, 40), st.integers(0, 200), st.integers(1, 30), st.integers(0, 500))
def test_a_falling_line_spends_exactly_its_budget_and_never_rises(layers, mean, beta, cap):
    budgets = falling_budgets(layers, mean, beta, cap)

    assert sum(budgets) == layers * min(mean, cap)
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[0] <= cap
    assert budgets[-1] >= 0


@given(st.integers(2, 40), st.integers(1, 200), st.integers(1, 30), st.integers(1, 500))
def test_the_integer_pyramid_is_the_published_schedule(layers, mean, beta, more):
    cap, window = mean + more, 8
    rooms = [LayerRoom(n, layers, mean, cap, torch.zeros(1, cap), window) for n in range(layers)]

    budgets = [IntegerPyramid(beta).layer_budget(room) for room in rooms]

    even = cap + window < 2 * mean
    assert budgets == ([mean] * layers if even else published_pyramid(layers, mean, beta, cap))
    assert 0 <= sum(budgets) / layers - mean <= IntegerPyramid(beta).entries_beyond(layers)


@given(st.integers(0, 99), st.floats(0, 1), st.integers(0, 20))
def test_heads_rounded_alone_miss_the_budget_by_little(seed, alpha, each):
    scores = random_scores(seed, 4, 20) * torch.tensor([1.0, 0.1, 3.0, 0.5])[:, None]
    room = room_of(scores, each)

    (counts,) = RoundedAdaptive(alpha).counts([room])

    won = [int((scores >= scores.flatten().sort().values[-4 * each]).sum(1)[n]) if each else 0
           for n in range(4)]  # fmt: skip
    assert counts == [round(count * (1 - alpha) + int(each * alpha)) for count in won]
    assert sum(counts) <= 4 * (each + RoundedAdaptive(alpha).entries_beyond(1))


def test_the_published_pyramid_overspends_where_ours_does_not():
    overspent = {}
    for keep in (64, 128, 256, 512, 1024):
        mean, cap = keep - 8, 10**6
        published = published_pyramid(32, mean, 20, cap)
        overspent[keep] = round(100 * (sum(published) / (32 * mean) - 1), 1)
        assert sum(falling_budgets(32, mean, 20, cap)) == 32 * mean
        assert falling_budgets(32, mean, 20, cap)[-1] == mean // 20

    assert overspent == {64: 13.4, 128: 4.6, 256: 1.4, 512: 2.8, 1024: 0.5}


def test_a_steepness_of_one_and_a_single_layer_are_uniform():
    assert falling_budgets(7, 12, 1, 100) == [12] * 7
    assert falling_budgets(1, 12, 20, 100) == [12]
    assert falling_budgets(3, 12, 20, 9) == [9] * 3


@settings(max_examples=30)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 25), small, st.floats(0, 1))
def test_no_allocation_spends_more_than_its_budget(seed, heads, entries, each, alpha):
    layers = 4
    scores = [random_scores(seed + n, heads, entries) for n in range(layers)]
    scores[1][0, entries // 2 :] = -torch.inf  # a head that holds less
    rooms = [room_of(s, each, layer=n, layers=layers) for n, s in enumerate(scores)]
    free = sum(sum(room.free()) for room in rooms)
    rules = [
        Uniform(),
        Pyramid(5),
        AdaptiveAllocation(alpha, Uniform()),
        AdaptiveAllocation(alpha, Pyramid(5)),
    ]

    for rule in [*rules, GlobalAllocation()]:
        counts = rule.counts(rooms)
        alone = [rule.counts([room])[0] for room in rooms]

        assert sum(map(sum, counts)) <= layers * heads * each
        assert rule == GlobalAllocation() or counts == alone
        for own, room in zip(counts, rooms, strict=True):
            assert all(0 <= count <= most for count, most in zip(own, room.free(), strict=True))
    assert sum(map(sum, GlobalAllocation().counts(rooms))) == min(layers * heads * each, free)


@settings(max_examples=40)
@given(st.integers(0, 99), st.floats(0, 1), st.integers(0, 20))
def test_adaptive_budgets_are_exact_and_above_the_floor(seed, alpha, each):
    scores = random_scores(seed, 4, 20) * torch.tensor([1.0, 0.1, 3.0, 0.5])[:, None]

    (counts,) = AdaptiveAllocation(alpha, Uniform()).counts([room_of(scores, each)])

    assert sum(counts) == 4 * each
    assert min(counts) >= int(alpha * each)
    assert max(counts) <= 20


def test_a_head_gets_its_floor_and_its_share_of_the_layers_best():
    scores = torch.tensor([[9.0, 8, 7, 6, 5, 4], [3.0, 2, 1, 0.5, 0.4, 0.3]])

    assert AdaptiveAllocation(0.0, Uniform()).counts([room_of(scores, 4)]) == [[6, 2]]
    assert AdaptiveAllocation(0.5, Uniform()).counts([room_of(scores, 4)]) == [[5, 3]]
    assert AdaptiveAllocation(1.0, Uniform()).counts([room_of(scores, 4)]) == [[4, 4]]


def test_heads_with_the_same_scores_get_the_same():
    one = random_scores(1, 1, 30)

    for alpha in (0.0, 0.2, 0.7):
        counts = AdaptiveAllocation(alpha, Uniform()).counts([room_of(one.expand(5, -1), 9)])
        assert counts == [[9] * 5]
        assert AdaptiveAllocation(alpha, Uniform()).counts([room_of(torch.ones(5, 30), 9)]) == [
            [9] * 5
        ]


def test_competing_heads_keep_the_most_score_there_is():
    scores = random_scores(3, 4, 40) ** 4 * torch.tensor([0.2, 1.0, 5.0, 1.0])[:, None]
    ranked = scores.sort(descending=True).values

    (counts,) = AdaptiveAllocation(0.0, Uniform()).counts([room_of(scores, 10)])

    mass = sum(float(ranked[head, :count].sum()) for head, count in enumerate(counts))
    assert abs(mass - float(scores.flatten().sort(descending=True).values[:40].sum())) < 1e-4
    assert mass > float(ranked[:, :10].sum())


def test_layers_compete_over_their_best_entries():
    strong, weak = torch.tensor([[9.0, 8, 7], [6, 1, 1]]), torch.tensor([[5.0, 1, 1], [1, 1, 0.5]])
    rooms = [room_of(strong, 1, layers=2), room_of(weak, 1, layer=1, layers=2)]

    assert GlobalAllocation().counts(rooms) == [[3, 1], [0, 0]]


def test_layers_of_different_lengths_compete_too():
    rooms = [room_of(torch.tensor([[1.0]]), 1), room_of(torch.tensor([[3.0, 2.0, 0.5]]), 1)]

    assert GlobalAllocation().counts(rooms) == [[0], [2]]
