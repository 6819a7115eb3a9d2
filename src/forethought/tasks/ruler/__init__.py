"""Thirteen tests of long contexts, after RULER (arXiv:2404.06654), on text made here."""
