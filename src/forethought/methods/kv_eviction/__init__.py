"""Methods that keep only part of the prompt's KV cache."""
