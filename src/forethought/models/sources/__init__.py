"""Model sources (hub, wheel, folder, GGUF file), their conversion, and the model cache."""
