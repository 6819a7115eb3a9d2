"""Programming tasks, judged by running tests, from files."""
