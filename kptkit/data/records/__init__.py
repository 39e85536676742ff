"""Folders of TFRecord shards: persons for pose networks, face crops for the cascade."""
