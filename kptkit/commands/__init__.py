"""The commands, one file each: their flags, what they do and what they print."""
