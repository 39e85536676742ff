"""Converts weights of other projects; only `kptkit convert` needs this package."""
