"""Threads, processor features and settings of native libraries."""
