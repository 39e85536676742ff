"""Networks as files that need no kptkit: SavedModel, LiteRT, ONNX."""
