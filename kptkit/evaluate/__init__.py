"""Evaluation of networks on annotated pictures."""
