"""Answers of a task, judged and compared."""
