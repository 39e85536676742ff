"""Lists of faces: boxes and five points."""
