"""Workers that share a cache, on tiny models, against a loop that follows the published steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.errors import UsageError
from forethought.contracts.search import Found, Strategy, WorkerPlan, write
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.shared_blocks import BlockView, forward_views, move_block
from forethought.methods.search.hogwild import BOX, Hogwild
from forethought.methods.search.majority_vote import MajorityVote
from forethought.models.chat.prompt import chat_prompt
from tests.backends.local.test_local import Kept, accounted, local, searched
from tests.driver.searches import coin
from tests.driver.searches import searched as searched_by_law
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET

TOKENIZER, LAYERS = TARGET.tokenizer, len(TARGET.shape.layers)
PLAN = WorkerPlan(
    openings=("One: ", "Two: "),
    prefixes=("One[{step}]: ", "Two[{step}]: "),
    delimiter="b",
    others="Others:\n",
    own="Own:\n",
    question="Again? ",
    interval=4,
    forbidden=("#",),
)


class Working(Strategy):
    """Workers on the run's own prompt."""

    def __init__(self, plan, temperature=0.0):
        self.plan, self.temperature = plan, temperature

    def search(self, start, rng):
        (found,) = yield from write([start], plan=self.plan, temperature=self.temperature)
        return Found(found, (found,))


def meter():
    return Meter(lambda: 0.0)


def written(tokens, *before):
    block = SequenceCache(LAYERS)
    forward_views(TARGET.network, meter(), [BlockView((*before, block))], [tokens])
    return block


def published(plan, most):
    """The tokens of all workers: one pass a token, whole steps to a common block."""
    prompt = chat_prompt(TOKENIZER, TARGET.template, QUESTION, DOCUMENT).tokens
    root, history, done = SequenceCache(LAYERS), SequenceCache(LAYERS), []
    Batch(TARGET.network, meter()).prefill(root, prompt)
    others, own = (written(TOKENIZER.encode(text), root) for text in (plan.others, plan.own))
    blocks = [SequenceCache(LAYERS) for _ in plan.openings]
    texts = [list(TOKENIZER.encode(text)) for text in plan.openings]
    fed, steps, counts, asked = [list(text) for text in texts], [1, 1], [0, 0], [0, 0]
    hidden = [*TOKENIZER.ends, *TOKENIZER.encode("#")]
    while True:
        views = []
        for mine, its in ((0, 1), (1, 0)):
            shared = [history] if plan.layout != "contiguous" and history.next else []
            beside = [others, blocks[its], own] if plan.layout != "interleaved" else []
            views.append(BlockView((root, *shared, *beside, blocks[mine])))
        logits = forward_views(TARGET.network, meter(), views, fed).clone()
        logits[:, hidden] = -float("inf")
        for worker, token in enumerate(logits.argmax(1).tolist()):
            texts[worker].append(token)
            fed[worker] = [token]
            counts[worker] += 1
        for worker in (0, 1):
            token = texts[worker][-1]
            if plan.layout == "contiguous" or plan.delimiter not in TOKENIZER.decode([token]):
                continue
            move_block(TARGET.network, blocks[worker], history)
            done += texts[worker][:-1]
            blocks[worker] = SequenceCache(LAYERS)
            steps[worker] += 1
            prefix = plan.prefixes[worker].replace("{step}", str(steps[worker]))
            if counts[worker] - asked[worker] >= plan.interval:
                prefix, asked[worker] = prefix + plan.question, counts[worker]
            more = list(TOKENIZER.encode(prefix))
            room = most - len(done) - sum(map(len, texts)) + len(texts[worker]) - 1
            texts[worker] = [token, *(more if len(more) <= room else [])]
            fed[worker] = list(texts[worker])
        if most - len(done) - sum(map(len, texts)) < 2:
            return (*done, *texts[0], *texts[1]), steps


@pytest.mark.parametrize("layout", ["contiguous", "interleaved", "combined"])
def test_workers_follow_the_published_steps(layout):
    plan = replace(PLAN, layout=layout)
    found = searched(Working(plan), local((), max_tokens=160), max_tokens=160).found.best
    tokens, steps = published(plan, 160)

    assert found.token_ids == tokens
    assert found.tokens == len(tokens) <= 160
    assert (max(steps) > 1) == (layout != "contiguous")
    assert ("Again? " in found.text) == (layout != "contiguous")


@pytest.mark.parametrize("seed", fast_each(2, range(3)))
@pytest.mark.parametrize("methods", [(), ("snapkv(keep=120)",), ("specpc-shallow(keep=150)",)])
def test_one_worker_is_the_plain_answer_token_for_token(methods, seed):
    settings = {"max_tokens": 40, "temperature": 1.0}
    alone = searched(Hogwild(workers=1), local(methods, **settings), seed=seed, max_tokens=40)
    plain = searched(MajorityVote(n=1), local(methods, **settings), seed=seed, max_tokens=40)
    mine, its = alone.found.best, plain.found.best

    assert (mine.token_ids, mine.text, mine.finish) == (its.token_ids, its.text, its.finish)
    assert mine.log_probability == pytest.approx(its.log_probability, rel=1e-4)
    for kind in ("prompt_tokens", "output_tokens", "scoring_tokens"):
        assert getattr(alone.cost, kind) == getattr(plain.cost, kind)
    assert alone.cost.flops == pytest.approx(plain.cost.flops, rel=1e-9)
    assert alone.opened.kept == plain.opened.kept


def test_workers_sample_streams_of_their_own():
    plan = replace(PLAN, openings=("Hi: ", "Hi: "), layout="interleaved", delimiter="\0")
    found = searched(Working(plan, 1.0), local((), max_tokens=40), max_tokens=40).found.best
    opening = len(TOKENIZER.encode("Hi: "))
    half = len(found.token_ids) // 2

    assert found.token_ids[:opening] == found.token_ids[half : half + opening]
    assert found.token_ids[opening:half] != found.token_ids[half + opening :]


def test_an_answer_ends_the_run():
    free = searched(Working(PLAN), local((), max_tokens=80), max_tokens=80).found.best
    word = next(one for one in free.text[60:] if one.isascii() and one.isalpha())
    ended = replace(PLAN, answered=word)
    text = "}"
    plan = replace(ended, openings=(f"{word}{text} ", "Two: "))
    done = searched(Working(plan), local((), max_tokens=80), max_tokens=80)

    assert done.found.best.finish == "stop"
    assert done.cost.output_tokens == 2


def test_an_answer_without_a_result_is_completed():
    settings = {"max_tokens": 300, "temperature": 1.0}
    done = searched(Hogwild(), local((), **settings), max_tokens=300)
    best = done.found.best
    (written_,) = done.found.pruned

    assert BOX not in written_.text
    assert best.text.startswith(written_.text)
    assert best.text.count(BOX) == 1
    assert best.lengths[-1] <= 16
    assert best.tokens <= 300
    # The completion is the likeliest one behind all that was written.
    prompt = chat_prompt(TOKENIZER, TARGET.template, best.question).tokens
    tokens = [*prompt, *best.token_ids[: best.tokens - best.lengths[-1]]]
    cache = SequenceCache(LAYERS)
    logits = Batch(TARGET.network, meter()).prefill(cache, tokens)
    assert best.token_ids[best.tokens - best.lengths[-1]] == int(logits.argmax())


def test_a_run_is_stored_whole():
    settings = {"max_tokens": 150, "temperature": 1.0}
    journal = Kept()
    done = searched(Hogwild(), local((), **settings), journal, max_tokens=150)
    for known in range(len(journal.outcomes)):
        some = Kept(dict(list(journal.outcomes.items())[:known]))
        again = searched(Hogwild(), local((), **settings), some, max_tokens=150)
        assert accounted(again) == accounted(done)


@pytest.mark.parametrize("budget", [1, 30, 120])
def test_a_budget_of_tokens_holds_for_all_workers_together(budget):
    done = searched(
        Hogwild(workers=3), local((), max_tokens=300), budget=f"{budget}tok", max_tokens=300
    )
    assert done.cost.output_tokens <= budget
    assert done.cost.output_tokens > 0 or done.found.best.text == ""


def test_stop_strings_and_servers_are_refused():
    with pytest.raises(UsageError, match="no stop strings"):
        searched(Hogwild(), local((), stop=("x",)))
    with pytest.raises(UsageError, match="workers"):
        searched_by_law(Hogwild(), backend=KnownBackend(coin()))


@pytest.mark.parametrize("workers", [2, 3])
def test_an_answer_without_room_for_a_token_of_each_worker_is_an_error(workers):
    method = Hogwild(workers=workers)
    opening = sum(len(TOKENIZER.encode(one)) for one in method.plan.openings)
    least = opening + len(TOKENIZER.encode(method.plan.ending)) + method.finisher + workers
    done = searched(method, local((), max_tokens=least), max_tokens=least)
    assert done.cost.output_tokens > 0

    with pytest.raises(UsageError, match=f"for each of {workers} workers.*take {least - workers}"):
        searched(method, local((), max_tokens=least - 1), max_tokens=least - 1)
