"""The calls of users: ask, conversation, compress, batches."""
