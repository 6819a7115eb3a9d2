"""The results store, the replay log, and what a sample was made with."""
