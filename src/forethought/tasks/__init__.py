"""Tasks: questions with a checker, one folder per family and one file per task."""
