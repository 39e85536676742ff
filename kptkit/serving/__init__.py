"""A client for exported networks behind TF Serving."""

from kptkit.serving.client import Client

__all__ = ["Client"]
