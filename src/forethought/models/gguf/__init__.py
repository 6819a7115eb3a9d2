"""GGUF files: metadata, tensors, tokenizer, configuration."""
