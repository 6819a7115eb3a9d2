"""The KV cache of a sequence: segments, blocks of entries, packed entries, the query window."""
