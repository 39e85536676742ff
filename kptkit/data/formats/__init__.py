"""Readers of annotation files; every one gives the same document."""
