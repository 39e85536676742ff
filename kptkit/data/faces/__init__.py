"""Face data sets: readers of boxes and of five landmarks."""
