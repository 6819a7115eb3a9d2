"""The cost of a run: FLOPs and bytes, token prices, budgets and leases."""
