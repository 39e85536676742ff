"""The commands, one file each: flags, actions and printed output."""
