"""Prompt preparation: plan, byte budgets, drafts, shortening, context check and prefill."""
