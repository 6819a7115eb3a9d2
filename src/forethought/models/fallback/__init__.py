"""Any other causal model of transformers, behind the same attention seam."""
