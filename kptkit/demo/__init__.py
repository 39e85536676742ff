"""The demo set: drawn people with exact keypoints."""
