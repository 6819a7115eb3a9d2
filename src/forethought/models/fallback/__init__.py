"""Other causal models of transformers, whose attention the engine computes as for our decoder."""
