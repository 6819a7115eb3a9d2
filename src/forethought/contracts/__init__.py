"""What the parts of the package say to each other; imports nothing of ours."""
