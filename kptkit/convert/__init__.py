"""Weights of other projects into ours; only `kptkit convert` needs this folder."""
