"""Weights as files of named arrays: read, written, put into networks."""
