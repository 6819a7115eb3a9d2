"""One folder per family, one file per published method."""
