"""From a command line to a dataclass: its flags, their values, and the page of `--help`."""
