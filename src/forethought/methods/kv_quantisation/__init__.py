"""Methods that store the cache in fewer bits."""
