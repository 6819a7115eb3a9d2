"""Programs that build, check and document this checkout."""
