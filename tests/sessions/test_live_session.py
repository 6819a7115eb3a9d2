"""Questions that share a live session are answered as if each were alone."""

import itertools
import random

import pytest

from forethought.contracts.errors import ForethoughtError, UnknownNameError, UsageError
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET

MODELS = {"target": TARGET, **DRAFTS}
RECIPES = {
    "exact": {},
    "sampled": {"temperature": 1.3, "samples": 3, "seed": 5},
    "compressed": {"approximate": ("specpc-shallow(keep=260)",)},
    "drafted": {"approximate": ("specpc-shallow(keep=260)",), "draft": "same-tokens"},
    "evicted": {"approximate": ("snapkv(keep=120)",)},
    "evicting": {"approximate": ("h2o(keep=200, every=3)",)},
    "quantised": {"approximate": ("quantised-kv(bits=4)",)},
    "voting": {"search": "majority-vote(n=4)"},
    "beams": {"search": "beam(n=4, width=2)", "scorer": "likelihood"},
    "foreign": {"model": "other-tokens"},
    "limited": {"budget": "5tok"},
}


def live(clock=None):
    ticks = clock or itertools.count().__next__
    opener = LocalOpener(lambda name, weights: MODELS[name], Recipe(model="target"), ticks)
    return LiveSession(opener, ticks)


def request(name, number=0, **settings):
    recipe = Recipe(**{"model": "target", "max_tokens": 12, **RECIPES[name], **settings})
    return LiveRequest(f"{name}-{number}", recipe, f"{QUESTION} {number}", DOCUMENT)


def finish(session, found=None):
    found = {} if found is None else found
    while not session.idle:
        for name, event in session.step():
            found.setdefault(name, []).append(event)
    return found


def told(events):
    """What a request was told, without what its company changes: times, memory and bytes moved."""
    *before, done = events
    if isinstance(done, ForethoughtError):
        return type(done), done.message
    run = dict(done.data["run"])
    cost = {
        k: v
        for k, v in run.pop("cost").items()
        if k not in ("seconds", "bytes_moved", "peak_cache_bytes")
    }
    run.pop("timing"), run.pop("run")
    texts = {}
    for event in before:
        if event.kind == "token":
            texts.setdefault(event.data["candidate"], []).append(event.data["text"])
    return run, cost, {number: "".join(parts) for number, parts in texts.items()}


def alone(asked):
    session = live()
    session.submit(asked)
    return told(finish(session)[asked.name])


@pytest.mark.parametrize("seed", fast_each(2, range(3)))
def test_answers_under_load_equal_answers_alone(seed):
    rng = random.Random(seed)
    asked = [request(name, number) for name in RECIPES for number in range(2)]
    rng.shuffle(asked)
    session, found = live(), {}
    waiting = list(asked)
    while waiting or not session.idle:
        for _ in range(rng.randint(0, 3) if waiting else 0):
            if waiting:
                session.submit(waiting.pop())
        for name, event in session.step(session.now() + 1):
            found.setdefault(name, []).append(event)
    for one in rng.sample(asked, 8):
        assert told(found[one.name]) == alone(one), one.name


def test_a_request_that_leaves_frees_all_and_changes_no_other():
    rng = random.Random(7)
    stay = [request(name, 1) for name in ("exact", "sampled", "beams")]
    leave = [request(name, 2) for name in RECIPES]
    session, found = live(), {}
    for one in [*stay, *leave]:
        session.submit(one)
    while not session.idle:
        for name, event in session.step(session.now() + 1):
            found.setdefault(name, []).append(event)
        if leave:
            session.cancel(leave.pop(rng.randrange(len(leave))).name)
    for one in stay:
        assert told(found[one.name]) == alone(one)
    backend = session.opener.backend
    held = (backend.runs, backend._work, backend._handlers, backend._blocked, backend._readers)
    assert not any(held)
    assert backend.scheduler.idle
    assert session.in_progress == 0


def test_a_request_may_leave_before_its_first_step_and_twice():
    session = live()
    session.submit(request("exact"))
    session.cancel("exact-0")
    session.cancel("exact-0")
    assert session.idle
    session.submit(request("exact"))
    assert finish(session)["exact-0"][-1].kind == "done"


def test_a_request_that_leaves_or_cannot_start_is_released_once():
    session, released = live(), []
    backend = session.opener.backend
    own = backend.release
    backend.release = lambda run: (released.append(run), own(run))
    session.submit(request("exact"))
    session.step()
    session.cancel("exact-0")
    session.submit(request("exact", 1, budget="$1"))

    assert released == ["exact-0", "exact-1"]
    assert not backend.runs


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"approximate": ("snapkv(keep=900000)",), "max_tokens": 12}, None),
        ({"search": "best-of-n(n=2)"}, UsageError),
        ({"search": "cascade(n=2)"}, UsageError),
        ({"budget": "$1"}, UsageError),
    ],
)
def test_a_request_that_cannot_run_ends_with_its_error_alone(settings, error):
    session = live()
    session.submit(request("sampled"))
    session.submit(request("exact", **settings))
    found = finish(session)
    assert found["sampled-0"][-1].kind == "done"
    if error is not None:
        assert isinstance(found["exact-0"][-1], error)
        assert len(found["exact-0"]) == 1


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownNameError):
        request("exact", approximate=("snap-kv",))
