"""Generated tasks of the package reasoning-gym."""
