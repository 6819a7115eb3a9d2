"""What may follow candidates, and tokens that are given: how searches ask, pay and resume."""

from __future__ import annotations

import itertools
import math

import pytest

from forethought.backends.known import END, KnownBackend, number_of
from forethought.contracts.search import Found, Strategy, following, take, write
from forethought.driver.driver import Driver
from forethought.storage.store import Store
from tests.driver.searches import coin, job, searched, three_steps


class Told(Strategy):
    """Keeps what each of these asks gave."""

    def __init__(self, asks):
        self.asks = asks
        self.told = []

    def search(self, start, rng):
        value = None
        asks = self.asks(start)
        while True:
            try:
                value = yield from asks.send(value)
            except StopIteration:
                return Found(start)
            self.told.append(value)


def told(asks, law=three_steps, **settings):
    strategy = Told(asks)
    done = searched(strategy, law, **settings)
    return strategy.told, done


def uneven(question, text):
    return {"x": 0.1, "y": 0.3, END: 0.2, "z": 0.4} if len(text) < 4 else {END: 1.0}


@pytest.mark.parametrize(
    ("top", "expected"), [(1, ["z", END]), (2, ["z", "y", END]), (9, ["z", "y", END, "x"])]
)
def test_the_likeliest_come_first_and_the_end_stands_among_them(top, expected):
    def asks(start):
        yield following([start], top)

    ((found,),), _ = told(asks, uneven)
    law = uneven("", "")
    assert [one.token for one in found] == [number_of(text) for text in expected]
    assert [one.ends for one in found] == [text == END for text in expected]
    assert [math.exp(one.log_probability) for one in found] == pytest.approx(
        [law[text] for text in expected]
    )


def test_a_given_token_makes_the_child_it_names():
    def asks(start):
        (one,) = yield take([start], [number_of("y")])
        (two,) = yield take([one], [number_of("x")])
        (ended,) = yield take([two], [number_of(END)])
        yield following([one, ended, one, start], 1)

    (_, (two,), (ended,), looks), done = told(asks, uneven)
    assert (two.text, two.tokens, two.done) == ("yx", 2, False)
    assert two.log_probability == pytest.approx(math.log(0.3) + math.log(0.1))
    assert (ended.text, ended.tokens, ended.finish) == ("yx", 2, "stop")
    assert ended.log_probability == pytest.approx(two.log_probability + math.log(0.2))
    assert [len(look) for look in looks] == [2, 0, 2, 2]
    assert looks[0] == looks[2]
    assert done.cost.output_tokens == 2


def test_what_follows_a_given_token_is_drawn():
    law = coin(0.7, length=3)

    def asks(start):
        yield write([start] * 4, tokens=[number_of(letter) for letter in "abba"])

    (found,), done = told(asks, law)
    assert [one.text for one in found] == ["aaa", "bbb", "bbb", "aaa"]
    assert found[1].log_probability == pytest.approx(math.log(0.3))
    assert done.cost.output_tokens == 12


def test_a_given_token_is_given_once_though_its_lease_is_short():
    def law(question, text):
        if not text:
            return {"s": 0.5, "l": 0.5}
        return {END: 1.0} if text == "s" else {"m": 1.0}

    def asks(start):
        yield write([start] * 2, tokens=[number_of("s"), number_of("l")])

    (found,), done = told(asks, law, budget="8tok")
    # The first leaves three of its four tokens, which are a second lease of the other.
    assert [one.text for one in found] == ["s", "lmmmmmm"]
    assert done.cost.output_tokens == 8


def test_looks_come_back_in_the_order_of_the_candidates():
    def asks(start):
        ones = yield take([start] * 3, [number_of(letter) for letter in "abc"])
        deep = yield take([ones[0]], [number_of("\n")])
        order = [ones[2], deep[0], start, ones[1]]
        yield following(order, 1)
        for one in order:
            yield following([one], 2)

    law = {"": {"a": 1.0}, "c": {"x": 1.0}, "a\n": {"y": 1.0}, "b": {"z": 1.0}, "a": {"\n": 1.0}}

    def known(question, text):
        return {**law[text], **({"b": 0.5, "c": 0.5} if not text else {})}

    (_, _, looks, *alone), _ = told(asks, known)
    assert [look[0].token for look in looks] == [number_of(letter) for letter in "xyaz"]
    assert [look[0] for look in looks] == [one[0][0] for one in alone]


def test_only_the_first_to_ask_behind_a_text_pays_for_reading_it():
    def asks(start):
        yield following([start, start], 2)
        yield following([start], 3)
        ones = yield take([start, start], [number_of("a"), number_of("b")])
        yield following([*ones, start, ones[0]], 2)
        yield write(ones, max_tokens=1)
        yield following(ones, 2)

    backend = KnownBackend(three_steps, next_token_flops=100.0)
    _, done = told(asks, backend=backend)
    assert done.cost.flops == 3 * 100 + 4
    assert len(backend.asked) == len(set(backend.asked)) == 1 + 1 + 2 + 3 + 2 + 2


def test_looks_begin_only_where_the_budget_covers_all_of_them():
    def asks(start):
        ones = yield take([start] * 3, [number_of(letter) for letter in "abc"])
        yield following(ones, 2)

    for flops in (302, 303):
        backend = KnownBackend(three_steps, next_token_flops=100.0)
        strategy = Told(asks)
        (done,) = Driver(backend).run([job(strategy, budget=f"{flops}FLOP")])
        assert done.cost.flops == (3 if flops == 302 else 303)
        assert done.budget_spent == (flops == 302)


def test_looks_and_given_tokens_are_kept_and_asked_once(tmp_path):
    def asks(start):
        looks = yield following([start], 3)
        ones = yield take([start] * 3, [one.token for one in looks[0]])
        yield following(ones, 2)
        yield write(ones)

    with Store.open(tmp_path / "results.sqlite") as store:
        found = []
        backends = [KnownBackend(three_steps, next_token_flops=5.0) for _ in range(2)]
        for backend in backends:
            strategy = Told(asks)
            (done,) = Driver(backend, store.replay_log()).run([job(strategy)])
            found.append((strategy.told, done.cost))
    assert found[0] == found[1]
    assert [len(backend.asked) for backend in backends] == [1 + 3 + 3 + 3, 0]


def test_asks_that_differ_only_in_the_token_or_the_number_are_told_apart():
    backend = KnownBackend(three_steps)

    def asks(start):
        for top in (1, 2):
            yield following([start], top)

    told(asks, backend=backend)
    for letter in "ab":
        told(lambda start, letter=letter: iter_take(start, letter), backend=backend)
    first, *keys = backend.asked
    # The first look behind a text is the one that pays: it goes by another name.
    assert len({first, *keys}) == 4
    assert all(first != other for first, other in itertools.combinations(backend.asked, 2))


def iter_take(start, letter):
    yield take([start], [number_of(letter)])
