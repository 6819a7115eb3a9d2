"""What a caller holds: ask, conversation, compress, batch."""
