"""Programs to write, judged by running them, from files."""
