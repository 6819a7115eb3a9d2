"""Small numerical tools, numpy only."""
