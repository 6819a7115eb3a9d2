"""Back ends: models on this machine and OpenAI-compatible servers."""
