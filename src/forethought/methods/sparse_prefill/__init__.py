"""Methods with sparse attention during prefill: a query sees only some keys."""
