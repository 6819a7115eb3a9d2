"""Weights, tokenizers and configs: from a name to next-token logits."""
