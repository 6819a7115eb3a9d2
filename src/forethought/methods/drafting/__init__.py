"""Methods that draft tokens of the answer; the target verifies them, and no answer changes."""
