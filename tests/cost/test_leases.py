"""What may still be begun: neither what was spent nor what is on its way."""

from forethought.contracts.backend import CostBound
from forethought.contracts.records import Cost
from forethought.cost.budget import spend_limit
from forethought.cost.leases import Leases


def test_what_is_leased_is_not_left_until_it_is_settled():
    ledger, token = Leases(spend_limit("10tok")), CostBound(Cost(), Cost(output_tokens=1))

    ledger.lease("first", token, 6)
    assert ledger.left() == {"tokens": 4}
    assert ledger.shares([token, token], [6, 6]) == [2, 2]

    ledger.settle("first", Cost(output_tokens=3))
    assert ledger.left() == {"tokens": 7}
