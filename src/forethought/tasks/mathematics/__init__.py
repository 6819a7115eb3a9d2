"""Problems in words and symbols whose answers are numbers or expressions, from files."""
