"""The results store, the replay log and the provenance of samples."""
