"""Forethought inside of other tools: plugins and wrappers around their interfaces."""
