"""Exports networks to formats that run without kptkit: SavedModel, LiteRT, ONNX."""
