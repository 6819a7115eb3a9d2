"""Static decode steps compute what plain steps compute, whatever happens to the caches."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from forethought.contracts.errors import UsageError
from forethought.engine import static_step
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.engine.sampling import SamplingParams
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Sequence, SequenceStart
from forethought.engine.static_step import VARIABLE, StaticSteps, close, static_steps
from tests.tiny import DEVICE, batch_of, tiny_decoder, tokens_of

DTYPE = torch.float64 if DEVICE == "cpu" else torch.float32
"""The fused kernel of a GPU takes no float64."""
CLOSE = 1e-5 if DEVICE == "cpu" else 1e-3
on_cpu = pytest.mark.skipif(DEVICE != "cpu", reason="bits are those of the CPU's kernels")


class Twins:
    """The same caches twice: one is decoded by plain steps, the other by static ones."""

    def __init__(self, decoder=None, lengths=(), **settings):
        self.decoder = decoder or tiny_decoder(dtype=DTYPE)
        self.steps = StaticSteps(capture=False, **settings)
        self.batches = [
            batch_of(self.decoder),
            Batch(self.decoder, batch_of(self.decoder).meter, self.steps),
        ]
        self.states = [FinalStates(), FinalStates()]
        for batch, shown in zip(self.batches, self.states, strict=True):
            batch.final = shown
        self.rows = [[self.prefilled(length) for length in lengths] for _ in range(2)]
        self.count = 0

    def prefilled(self, length):
        row = SequenceCache(3)
        self.batches[0].prefill(row, tokens_of(length, seed=length))
        return row

    def both(self, act):
        """Do the same to the rows of both."""
        for rows in self.rows:
            act(rows)

    def step(self, *, exact=False):
        """One token more for every row of both; logits and caches must agree."""
        self.count += 1
        tokens = tokens_of(len(self.rows[0]), seed=self.count)
        plain, static = (b.step(r, tokens) for b, r in zip(self.batches, self.rows, strict=True))
        if exact:
            assert torch.equal(plain, static)
        torch.testing.assert_close(plain, static, rtol=CLOSE, atol=CLOSE)
        shown = [one.rows for one in self.states]
        torch.testing.assert_close(*shown, rtol=CLOSE, atol=CLOSE)
        for one, other in zip(*self.rows, strict=True):
            assert one.lengths() == other.lengths()
            assert one.next == other.next
            assert one.tail.positions == other.tail.positions
        assert not self.steps.ended

    @property
    def sizes(self):
        return list(self.steps._steps)


@on_cpu
@pytest.mark.parametrize("lengths", [(5,), (40, 5, 90)])
def test_static_steps_have_the_bits_of_plain_steps(lengths):
    # Attention is float64 here and logits are float32: sums of other spans round alike.
    twins = Twins(lengths=lengths)

    for _ in range(20):
        twins.step(exact=True)

    assert len(twins.sizes) == 1
    for layer in range(3):
        for one, other in zip(*twins.rows, strict=True):
            for mine, theirs in zip(one.kv_slices(layer), other.kv_slices(layer), strict=True):
                torch.testing.assert_close(mine.keys, theirs.keys)
                torch.testing.assert_close(mine.values, theirs.values)


def test_rows_may_come_and_go():
    twins = Twins(lengths=(30, 7, 50))
    for change in range(12):
        twins.step()
        if change % 3 == 0:
            twins.both(lambda rows, change=change: rows.append(twins.prefilled(20 + change)))
        if change % 4 == 1:
            twins.both(lambda rows: rows.pop(1))
        if change == 7:
            twins.both(lambda rows: rows.reverse())
    assert {size.rows for size in twins.sizes} <= {2, 4, 8}


def test_a_row_that_left_keeps_its_entries_and_may_come_back():
    twins, apart = Twins(lengths=(30, 7, 50)), []
    twins.step()
    twins.both(lambda rows: apart.append(rows.pop(0)))
    for _ in range(3):
        twins.step()
    twins.both(lambda rows: rows.append(apart.pop(0)))
    for _ in range(3):
        twins.step()


def test_forks_share_a_prefix_that_is_held_once():
    twins = Twins(lengths=(300,))
    twins.both(lambda rows: rows.extend([rows[0].fork() for _ in range(5)]))
    for _ in range(4):
        twins.step()
    assert [(size.rows, size.entries, size.prefix) for size in twins.sizes] == [(8, 512, 512)]

    # A stranger shares nothing: what was shared is copied to each row.
    twins.both(lambda rows: rows.append(twins.prefilled(9)))
    twins.step()
    assert twins.sizes[-1].prefix == 0


def test_a_fork_of_another_prompt_does_not_see_the_prefix():
    twins = Twins(lengths=(30, 40))
    twins.both(lambda rows: rows.extend([rows[0].fork() for _ in range(3)]))
    others = [rows.pop(1) for rows in twins.rows]
    twins.step()
    twins.both(lambda rows: rows.__setitem__(2, others.pop(0).fork()))
    twins.step()


def test_a_fork_amid_decoding_goes_its_own_way():
    twins = Twins(lengths=(30, 12))
    twins.step()
    twins.both(lambda rows: rows.append(rows[0].fork()))
    for _ in range(3):
        twins.step()


def test_what_was_taken_back_is_not_seen_again():
    twins, marks = Twins(lengths=(30, 12)), []
    twins.step()
    twins.both(lambda rows: marks.append(rows[0].mark()))
    for _ in range(4):
        twins.step()
    twins.both(lambda rows: rows[0].rewind(marks.pop(0)))
    twins.step()
    twins.both(lambda rows: rows[1].drop_newest(3))
    twins.step()


def test_layers_that_evict_differently_are_served():
    twins = Twins(lengths=(60, 33))
    twins.step()
    for layer, count in enumerate((9, 30, 17)):
        kept = torch.arange(count).expand(2, -1)
        twins.both(lambda rows, layer=layer, kept=kept: rows[0].keep(layer, kept))
    for _ in range(3):
        twins.step()
    assert len(twins.sizes) == 1


def test_tokens_that_a_prefill_added_are_seen():
    twins = Twins(lengths=(30, 12))
    twins.step()
    twins.both(lambda rows: twins.batches[0].prefill(rows[1], tokens_of(40)))
    twins.step()


def test_heads_that_hold_different_numbers_of_entries_take_the_plain_step():
    twins = Twins(lengths=(30, 12))
    ragged = [torch.arange(5), torch.arange(9)]
    twins.both(lambda rows: rows[0].keep(1, ragged))
    twins.step()
    assert not twins.sizes


def test_a_quantised_prefix_is_served():
    twins = Twins(lengths=(64,))
    twins.both(lambda rows: rows[0].pack(8))
    for _ in range(3):
        twins.step()
    assert len(twins.sizes) == 1


def test_full_buffers_are_replaced_by_larger_ones():
    twins = Twins(tiny_decoder(dtype=DTYPE, max_position_embeddings=2048), lengths=(200, 5))
    for _ in range(600):
        twins.step()
    assert [size.entries for size in twins.sizes] == [512, 1024]


def test_only_the_newest_sizes_are_kept(monkeypatch):
    monkeypatch.setattr(static_step, "_MOST_STEPS", 2)
    twins = Twins(lengths=(20,))
    for _ in range(4):
        twins.step()
        twins.both(lambda rows: rows.extend(twins.prefilled(9) for _ in range(len(rows))))
    assert [size.rows for size in twins.sizes] == [4, 8]


def test_buffers_beyond_the_limit_are_not_made(monkeypatch):
    monkeypatch.setattr(static_step, "_MOST_BYTES", 1000)
    twins = Twins(lengths=(20,))
    twins.step()
    assert not twins.sizes


def test_a_cache_counts_its_entries_and_not_the_room_of_the_buffers():
    twins = Twins(lengths=(40,))
    twins.step()
    ((row,), (placed,)) = twins.rows
    entry = 3 * 2 * 2 * 8 * DTYPE.itemsize  # layers, keys and values, heads, dimensions, bytes
    assert placed.tail.bytes() == 41 * entry <= row.tail.bytes()
    twins.steps.release()
    assert placed.tail.bytes() == 41 * entry


def test_buffers_keep_no_cache_alive():
    twins = Twins(lengths=(40, 3))
    twins.step()
    gone = weakref.ref(twins.rows[1][0].tail)

    twins.both(lambda rows: rows.pop(0))
    gc.collect()

    assert gone() is None
    twins.step()


def test_steps_end_where_their_logits_differ(monkeypatch):
    monkeypatch.setattr(static_step, "_WIDE_TOLERANCE", -1.0)
    twins = Twins(lengths=(40, 3))
    tokens = [[5, 6], [7, 8]]
    for new in tokens:
        plain, static = (b.step(r, new) for b, r in zip(twins.batches, twins.rows, strict=True))
        torch.testing.assert_close(plain, static, rtol=CLOSE, atol=CLOSE)
        for one, other in zip(*twins.rows, strict=True):
            assert one.lengths() == other.lengths()
    assert "differ" in twins.steps.ended


@pytest.mark.skipif(torch.cuda.is_available(), reason="a capture succeeds there")
def test_steps_end_where_nothing_can_be_captured():
    decoder = tiny_decoder()
    batch, row, twin = batch_of(decoder), SequenceCache(3), SequenceCache(3)
    steps = StaticSteps(capture=True)
    for one in (row, twin):
        batch.prefill(one, tokens_of(9))
    for token in (4, 5, 6):
        found = Batch(decoder, batch.meter, steps).step([row], [token])
        torch.testing.assert_close(found, batch.step([twin], [token]))
    assert steps.ended
    assert row.lengths() == twin.lengths()


@pytest.mark.parametrize(("off", "dtype", "agrees"), [
    (0.0, torch.float32, True),
    (0.01, torch.float32, False),
    (0.01, torch.bfloat16, True),
    (0.2, torch.bfloat16, False),
    (float("nan"), torch.bfloat16, False),
])  # fmt: skip
def test_logits_are_compared_by_their_dtype(off, dtype, agrees):
    logits = torch.tensor([[1.0, -5.0, 2.0]])

    assert close(logits + 5 * off, logits, dtype) == agrees


def test_a_cpu_takes_plain_steps_unless_it_is_asked(monkeypatch):
    decoder = tiny_decoder()
    if DEVICE == "cpu":
        monkeypatch.delenv(VARIABLE, raising=False)
        assert static_steps(decoder) is None
    monkeypatch.setenv(VARIABLE, "static")
    asked = tiny_decoder(dtype=DTYPE)
    assert static_steps(asked) is static_steps(asked) is not None
    monkeypatch.setenv(VARIABLE, "plain")
    assert static_steps(tiny_decoder()) is None


def test_an_unknown_kind_of_step_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(UsageError, match="'fast'"):
        static_steps(tiny_decoder())


WINDOWED = {"model_type": "mistral", "sliding_window": 16}
MIXTURE = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize("changes", [WINDOWED, MIXTURE])
def test_networks_with_windows_or_experts_take_plain_steps(changes, monkeypatch):
    monkeypatch.setenv(VARIABLE, "static")
    config = tiny_decoder(**changes)
    assert static_steps(config) is None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_scheduler_decodes_the_same_tokens(temperature, monkeypatch):
    found = {}
    for kind in ("plain", "static"):
        monkeypatch.setenv(VARIABLE, kind)
        decoder, sequences = tiny_decoder(dtype=DTYPE), []
        for stream, length in enumerate((30, 9, 61, 4, 17)):
            batch, cache = batch_of(decoder), SequenceCache(3)
            start = SequenceStart(cache, batch.prefill(cache, tokens_of(length, seed=stream)))
            sequences.append(
                Sequence(
                    decoder,
                    batch.meter,
                    lambda start=start: start,
                    sampling=SamplingParams(temperature=temperature, seed=3),
                    stream=stream,
                    max_tokens=6 + 5 * stream,
                )
            )
        scheduler = Scheduler()
        for place, one in enumerate(sequences):
            scheduler.add(one)
            for _ in range(place):
                scheduler.step()
        while not scheduler.idle:
            scheduler.step()
        steps = static_steps(decoder)
        assert (steps is not None) == (kind == "static")
        assert steps is None or (steps._steps and not steps.ended)
        found[kind] = [one.tokens for one in sequences]
    assert found["plain"] == found["static"]
