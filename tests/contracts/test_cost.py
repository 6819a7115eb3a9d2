"""Costs add up, and name drafted tokens only where a sequence drafts."""

from __future__ import annotations

from forethought.contracts.records import Cost

DRAFTED = Cost(output_tokens=10, flops=2.0, verified_tokens=9, accepted_tokens=6, decode_passes=3)


def test_costs_in_sequence_add_up_and_the_larger_peak_counts() -> None:
    both = DRAFTED.plus(Cost(output_tokens=2, decode_passes=2, peak_cache_bytes=7, usd=0.5))

    assert both == Cost(
        output_tokens=12,
        flops=2.0,
        peak_cache_bytes=7,
        usd=0.5,
        verified_tokens=9,
        accepted_tokens=6,
        decode_passes=5,
    )
    later = both.since(DRAFTED)
    assert (later.output_tokens, later.decode_passes, later.verified_tokens) == (2, 2, 0)


def test_a_document_names_drafted_tokens_only_where_a_sequence_drafts() -> None:
    names = {"verified_tokens", "accepted_tokens", "decode_passes"}

    assert names <= DRAFTED.document().keys()
    assert not names & Cost(output_tokens=3).document().keys()
    assert Cost(**DRAFTED.document()) == DRAFTED
