"""Looks at data before anything is trained on them."""
