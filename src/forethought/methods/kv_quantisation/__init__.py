"""Methods that store the KV cache in fewer bits."""
