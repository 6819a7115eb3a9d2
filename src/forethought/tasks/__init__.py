"""Questions with a checker: one folder per family, one file per task."""
