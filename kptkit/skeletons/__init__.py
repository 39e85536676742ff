"""Keypoints of data sets: their names, edges, mirror pairs and sigmas."""
