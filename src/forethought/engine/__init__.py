"""The scheduler, sequences, their KV caches, attention, sampling and metering; no text."""
