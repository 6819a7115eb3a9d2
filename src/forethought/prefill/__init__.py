"""A prompt on its way into a KV cache."""
