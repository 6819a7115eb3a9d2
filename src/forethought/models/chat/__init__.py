"""Chat templates, prompts and transcripts."""
