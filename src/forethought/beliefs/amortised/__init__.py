"""Networks that are trained on a simulated prior and then condition in one forward pass."""
