"""Methods that let a prompt's queries see only some of its keys."""
