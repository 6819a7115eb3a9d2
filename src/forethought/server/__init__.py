"""An OpenAI-compatible server over the scheduler, and its page."""
