"""The belief about answers and the plans that follow from it, against plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from forethought.beliefs.answers import AnswerBelief, Seen, broad_law, law_of_mean
from forethought.beliefs.plans import Stakes, WayPrice, most_tries
from forethought.beliefs.votes import theta_laws, thetas
from forethought.beliefs.worlds import rates
from tests.beliefs.spending_worlds import Stream, best_fixed, ruled
from tests.beliefs.worlds_by_hand import own_prior, three_groups, two_bumps

RIGHT = "right"


def chance_of(answers, law):
    """The probability of answers in order, by a restaurant of wrong ones, with loops."""
    theta_law = theta_laws(np.random.default_rng(0).random((1000, 2))).mean(axis=0)
    total = 0.0
    for theta, share in zip(thetas(), theta_law, strict=True):
        for rate, weight in zip(rates(), law, strict=True):
            chance, tables = share * weight, {}
            for one in answers:
                if one == RIGHT:
                    chance *= rate
                    continue
                seated = sum(tables.values())
                chance *= (1 - rate) * (tables.get(one) or theta) / (seated + theta)
                tables[one] = tables.get(one, 0) + 1
            total += chance
    return total


def test_the_probability_that_a_group_is_right_is_that_of_loops():
    law = law_of_mean(0.4)
    belief = AnswerBelief((law,))
    seen = Seen.of(1, [(0, 0), (0, 1), (0, 1), (0, 2)])
    cases = {
        group: chance_of([RIGHT if g == group else g for g in (0, 1, 1, 2)], law)
        for group in (0, 1, 2, None)
    }
    by_size = [cases[0], cases[2], cases[1], cases[None]]  # groups are listed by size
    assert belief.evidence(seen) == pytest.approx(sum(by_size))
    assert belief.right(seen) == pytest.approx(np.array(by_size) / sum(by_size))


@pytest.mark.parametrize("blanks", [1, 5, 27])
def test_answers_that_state_nothing_say_nothing_of_which_one_is_right(blanks):
    told = [(0, 0), (0, 1), (0, 1), (0, 1)]
    belief = AnswerBelief((broad_law(),))
    without, beside = (Seen.of(1, told + [(0, None)] * n) for n in (0, blanks))

    assert belief.right(beside) == pytest.approx(belief.right(without))
    assert belief.right(beside)[1] > 2 * belief.right(beside)[0]  # three agree against one
    assert belief.success(beside, 0) == pytest.approx(belief.success(without, 0))


def test_an_answer_that_states_something_costs_those_before_it_that_do_not():
    belief, price = AnswerBelief((law_of_mean(0.6),)), [WayPrice("target", 0.0, 2.0)]

    def next_price(seen):
        plans = Stakes(belief, seen, price, 1e9, 0.0, 1).alternatives()
        return next(one.price for one in plans if one.action == "sample")

    assert next_price(Seen((), (0,))) == 2.0
    assert next_price(Seen(((1,),), (2,))) == pytest.approx(2.0 * 4 / 2)
    assert next_price(Seen((), (9,))) == pytest.approx(2.0 * 10)
    some = Stakes(belief, Seen((), (9,)), price, 60.0, 0.0, 8).alternatives()[0]
    none = Stakes(belief, Seen((), (99,)), price, 60.0, 0.0, 8).alternatives()[0]
    assert (some.action, none.action) == ("sample", "stop")


def chance_behind_both(answers, law, kept):
    """As `chance_of`, for (writer, answer): the second writer has the first one's rate, or none."""
    theta_law = theta_laws(np.random.default_rng(0).random((1000, 2))).mean(axis=0)
    total = 0.0
    for theta, share in zip(thetas(), theta_law, strict=True):
        for rate, weight in zip(rates(), law, strict=True):
            for has, case in ((True, kept), (False, 1 - kept)):
                chance, tables = share * weight * case, {}
                for writer, one in answers:
                    own = rate if writer == 0 or has else 0.0
                    if one == RIGHT:
                        chance *= own
                        continue
                    seated = sum(tables.values())
                    chance *= (1 - own) * (tables.get(one) or theta) / (seated + theta)
                    tables[one] = tables.get(one, 0) + 1
                total += chance
    return total


def test_a_shortened_prompt_has_the_rate_of_the_whole_one_or_none():
    law, kept = law_of_mean(0.4), 0.7
    belief = AnswerBelief((law, law_of_mean(0.3)), kept)
    told = [(0, 0), (1, 0), (0, 1), (1, 2), (1, 2)]
    seen = Seen.of(2, told)
    cases = {
        group: chance_behind_both([(w, RIGHT if g == group else g) for w, g in told], law, kept)
        for group in (0, 1, 2, None)
    }
    order = {(1, 1): 0, (1, 0): 1, (0, 2): 2}
    by_size = [cases[order[sizes]] for sizes in seen.groups] + [cases[None]]
    assert belief.evidence(seen) == pytest.approx(sum(by_size))
    assert belief.right(seen) == pytest.approx(np.array(by_size) / sum(by_size))


def test_the_success_of_a_shortened_prompt_is_the_share_kept_of_the_whole_ones():
    belief = AnswerBelief((law_of_mean(0.4), law_of_mean(0.3)), 0.75)
    nothing = Seen((), (0, 0))
    whole, short = (belief.success(nothing, way)[0] for way in (0, 1))
    assert (whole, short) == pytest.approx((0.4, 0.3))
    agreed = belief.success(Seen(((2, 2),), (0, 0)), 1)[0]
    assert agreed > belief.success(Seen(((4, 0),), (0, 0)), 1)[0] > short


def test_answers_that_agree_behind_both_prompts_support_each_other():
    law = broad_law()
    seen = Seen(((1, 0), (8, 8)), (0, 0))
    coupled, apart = AnswerBelief((law, law), 0.9), AnswerBelief((law, law))
    assert coupled.right(seen)[1] > 0.5
    assert coupled.right(seen)[1] > apart.right(seen)[1]


def test_a_verifier_that_refuses_one_prompt_doubts_the_other_too():
    law = law_of_mean(0.5)
    coupled, apart = AnswerBelief((law, law), 0.9), AnswerBelief((law, law))
    after = [one.missed((3, 0), 1, 1)[1] for one in (coupled, apart)]
    before = [one.missed((0, 0), 1, 1)[1] for one in (coupled, apart)]
    assert after[0] > before[0]
    assert after[1] == pytest.approx(before[1])


def test_plans_are_those_of_all_sequences_of_answers():
    law = law_of_mean(0.5)
    value, each, horizon = 20.0, 1.0, 3

    def groups(names):
        known = {}
        return tuple(known.setdefault(one, len(known)) for one in names)

    sequences = {n: {groups(s) for s in product(range(n), repeat=n)} for n in range(1, horizon + 1)}

    def weights(names):
        return [
            chance_of([RIGHT if one == g else one for one in names], law)
            for g in (*dict.fromkeys(names), None)
        ]

    def best(names):
        own = weights(names)
        stop = value * max(own[:-1], default=0.0) / sum(own)
        return max(stop, sample(names)) if len(names) < horizon else stop

    def sample(names):
        later = [one for one in sequences[len(names) + 1] if one[: len(names)] == names]
        return sum(sum(weights(one)) / sum(weights(names)) * best(one) for one in later) - each

    stakes = Stakes(
        AnswerBelief((law,)), Seen((), (0,)), [WayPrice("target", 0.0, each)], value, 0.0, horizon
    )
    top = stakes.alternatives()[0]
    assert top.action == "sample"
    assert top.net == pytest.approx(sample(()))


@pytest.mark.parametrize("worth", [6.0, 20.0, 60.0])
def test_a_verifier_is_asked_while_the_next_answer_pays(worth):
    law = broad_law()
    (cap,) = most_tries(law[None], worth, 100)
    slow = 0
    while True:
        missed = sum(w * (1 - r) ** slow for w, r in zip(law, rates(), strict=True))
        hit = sum(w * r * (1 - r) ** slow for w, r in zip(law, rates(), strict=True))
        if worth * hit / missed <= 1:
            break
        slow += 1
    assert cap == slow > 0
    actions = [
        Stakes(
            AnswerBelief((law,)),
            Seen((), (failures,)),
            [WayPrice("target", 0.0, 1.0)],
            worth,
            0.0,
            100,
            verified=True,
        ).alternatives()[0].action
        for failures in (cap - 1, cap)
    ]  # fmt: skip
    assert actions == ["sample", "abstain"]


def test_a_prefill_is_paid_once():
    belief, price = AnswerBelief((law_of_mean(0.6),)), WayPrice("target", 5.0, 1.0)
    dear = Stakes(belief, Seen((), (0,)), [price], 60.0, 0.0, 1).alternatives()[0]
    later = Stakes(belief, Seen(((1,),), (0,)), [price], 60.0, 0.0, 1)
    again = next(one for one in later.alternatives() if one.action == "sample")
    assert (dear.price, again.price) == (6.0, 1.0)


def test_a_verified_plan_pays_its_prefill_too():
    belief, seen = AnswerBelief((law_of_mean(0.6),)), Seen((), (0,))
    free, dear = (
        Stakes(belief, seen, [WayPrice("target", once, 1.0)], 60.0, 0.0, 4, verified=True)
        for once in (0.0, 5.0)
    )
    costs = [one.alternatives()[0].price for one in (free, dear)]
    assert costs[1] == pytest.approx(costs[0] + 5.0)


def test_a_verified_plan_pays_no_prefill_after_a_refused_answer():
    belief, refused = AnswerBelief((law_of_mean(0.6),)), Seen((), (1,))
    free, dear = (
        Stakes(belief, refused, [WayPrice("target", once, 1.0)], 60.0, 0.0, 4, verified=True)
        for once in (0.0, 5.0)
    )
    assert dear.alternatives()[0].price == free.alternatives()[0].price


def test_a_wrong_answer_loses_its_penalty():
    belief, seen = AnswerBelief((law_of_mean(0.4),)), Seen(((2,), (1,)), (0,))
    stop = next(
        one for one in Stakes(belief, seen, [], 60.0, 0.5, 0).alternatives() if one.action == "stop"
    )
    right = max(belief.right(seen)[:-1])
    assert 0.1 < right < 0.9
    assert stop.net == pytest.approx(60.0 * right - 30.0 * (1 - right))


def test_a_law_has_the_stated_mean():
    for mean in (0.05, 0.5, 0.95):
        assert law_of_mean(mean) @ rates() == pytest.approx(mean, abs=1e-6)


def test_a_belief_that_learns_beats_caps_set_beforehand():
    stream = Stream.drawn(own_prior, 30, 30, seed=3)
    online = ruled(stream, 60.0, laws=400)
    assert online.mean() > ruled(stream, 60.0, laws=400, learns=False).mean()
    for cap in (1, 4, 8, 16, 64):
        assert online.mean() > stream.net(np.array(cap), 60.0).mean()
    assert online.mean() < stream.informed(60.0).mean()


@pytest.mark.slow
def test_online_beliefs_beat_every_cap_over_all_shapes():
    """Standard errors of the gaps are about 0.2; the best cap of a shape is hindsight's."""
    streams = [Stream.drawn(world, 150, 60, 0) for world in (own_prior, two_bumps, three_groups)]
    online = [ruled(one, 60.0) for one in streams]
    for stream, net in zip(streams, online, strict=True):
        _, fixed = best_fixed(stream, 60.0)
        assert net.mean() > fixed.mean() - 0.4
        assert ruled(stream, 60.0, signal=True).mean() > net.mean() + 0.5
    whole = np.mean([net.mean() for net in online])
    for cap in range(1, 257):
        fixed = np.mean([one.net(np.array(cap), 60.0).mean() for one in streams])
        assert whole > fixed + 0.5
