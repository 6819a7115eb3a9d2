"""Methods that keep only some cache entries of the prompt."""
