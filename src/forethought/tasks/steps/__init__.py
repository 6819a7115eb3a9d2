"""Made-up questions that are answered in steps, one a line, each of which can be checked."""
