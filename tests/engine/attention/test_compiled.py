"""Decode steps whose attention runs on the compiled kernels, beside rows that cannot."""

import pytest
import torch
from torch import Tensor

from forethought.engine import batch_attention
from forethought.engine.attention.compiled import attendable
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.compiled.available import kernels
from forethought.models.decoder.decoder import Decoder
from tests.tiny import batch_of, tiny_decoder, tokens_of

WIDE = {"hidden_size": 64, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32}


@pytest.fixture(autouse=True)
def _compiled() -> None:
    if kernels() is None:
        pytest.skip("this machine has no compiler, or a processor without kernels")


def decoder(**changes: object) -> Decoder:
    return tiny_decoder(dtype=torch.bfloat16, scale=0.2, **{**WIDE, **changes})


def read(network: Decoder, count: int = 200) -> SequenceCache:
    """A row over a prompt."""
    row = SequenceCache(len(network.shape.layers))
    batch_of(network).prefill(row, tokens_of(count))
    return row


def cut(row: SequenceCache) -> SequenceCache:
    """The row, with heads of the second layer that keep different numbers of entries."""
    row.keep(1, [torch.arange(0, 150), torch.arange(30, 120)])
    return row


def packed(row: SequenceCache) -> SequenceCache:
    row.pack(8)
    return row


def steps(network: Decoder, rows: list[SequenceCache], count: int = 4, first: int = 0) -> Tensor:
    """Logits [steps, rows, V]; row i is given the tokens of place `first` + i."""
    batch, places = batch_of(network), range(first, first + len(rows))
    found = [batch.step(rows, [(11 * i + s) % 90 for i in places]) for s in range(count)]
    return torch.stack(found)


def by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_attention, "kernels_for", lambda queries, values, shape: None)


def test_steps_equal_those_by_torch_up_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    network = decoder()
    ours = steps(network, [row := read(network), row.fork(), row.fork()])

    by_torch(monkeypatch)
    theirs = steps(network, [row := read(network), row.fork(), row.fork()])

    assert not torch.equal(ours, theirs)  # else torch ran twice
    assert float((ours - theirs).norm() / theirs.norm()) < 0.03


def test_the_cache_holds_the_same_entries_as_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    network = decoder()
    row = read(network)
    steps(network, [row, row.fork()], 1)
    tail = row.tail.layers[0]

    by_torch(monkeypatch)
    other = read(network)
    steps(network, [other, other.fork()], 1)

    assert tail.length == 1  # the first layer's new entries depend on no attention
    assert torch.equal(tail.keys, other.tail.layers[0].keys)
    assert torch.equal(tail.values, other.tail.layers[0].values)


def test_a_row_alone_is_bit_for_bit_the_one_among_forks() -> None:
    network = decoder()
    alone = steps(network, [read(network)])

    row = read(network)
    together = steps(network, [row, *(row.fork() for _ in range(4))])

    assert torch.equal(alone[:, 0], together[:, 0])


@pytest.mark.parametrize("change", [cut, packed])
def test_rows_beside_others_of_another_kind_are_what_they_are_alone(change: object) -> None:
    network = decoder()
    assert callable(change)
    plain, other = steps(network, [read(network)]), steps(network, [change(read(network))], first=1)

    rows = [read(network), change(read(network)), read(network)]
    assert [attendable(row, 1) for row in rows] == [True, False, True]
    together = steps(network, rows)

    assert torch.equal(together[:, 0], plain[:, 0])
    assert torch.equal(together[:, 1], other[:, 0])


def test_rewound_entries_are_written_anew() -> None:
    network = decoder()
    row = read(network)
    mark = row.mark()
    first = steps(network, [row], 3)

    row.rewind(mark)

    assert torch.equal(steps(network, [row], 3), first)


@pytest.mark.parametrize(
    "changes", [{"head_dim": 8}, {"model_type": "mistral", "sliding_window": 64}]
)
def test_layers_that_the_kernels_do_not_know_go_by_torch(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = decoder(**changes)
    ours = steps(network, [read(network)])

    by_torch(monkeypatch)

    assert torch.equal(ours, steps(network, [read(network)]))
