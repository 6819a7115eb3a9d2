"""The fields of requests: unknown fields and wrong types are refused."""
