"""The cache, attention over it, sampling and decoding."""
