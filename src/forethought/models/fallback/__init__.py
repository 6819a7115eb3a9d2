"""Other causal models of transformers, behind the same attention seam."""
