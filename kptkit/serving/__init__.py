"""A client for exported models on TF Serving."""

from kptkit.serving.client import Client
from kptkit.serving.transport import ServingError

__all__ = ["Client", "ServingError"]
