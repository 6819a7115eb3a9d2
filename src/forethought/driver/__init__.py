"""Runs strategies: their asks become requests within leases."""
