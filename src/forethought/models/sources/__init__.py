"""Where models come from: hub, wheel, folder, GGUF file; conversion, and the model cache."""
