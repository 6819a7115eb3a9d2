"""OpenAI-compatible servers as a back end."""
