"""Judges: the published protocols, each equal to a plain loop."""
