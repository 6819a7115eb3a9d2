"""A recipe meets a question: the only place where engine and methods meet."""
