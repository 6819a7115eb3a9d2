"""Generated instructions with constraints that a program checks."""
