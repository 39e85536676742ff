"""From annotation files to training batches."""
