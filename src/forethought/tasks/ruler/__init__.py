"""RULER (arXiv:2404.06654): thirteen long-context tasks on generated text."""
