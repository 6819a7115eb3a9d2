"""Decode kernels in C, compiled once for this machine where it has a compiler."""
