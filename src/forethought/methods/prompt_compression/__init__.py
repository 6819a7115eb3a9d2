"""Methods that shorten the prompt before the target prefills it."""
