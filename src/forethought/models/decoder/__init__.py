"""The decoder: configuration, families, layers, rotary embeddings, linear layers."""
