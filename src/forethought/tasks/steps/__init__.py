"""Generated questions that are answered in steps, one checkable step a line."""
