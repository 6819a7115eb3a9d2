"""The KV cache: segments, the cache of a sequence, its blocks, their packing."""
