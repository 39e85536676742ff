"""Draws the demo data set: people with exact keypoints, boxes and face landmarks."""

from kptkit.demo.dataset import write_demo_data
from kptkit.demo.scene import Scene, draw_scene

__all__ = ["Scene", "draw_scene", "write_demo_data"]
