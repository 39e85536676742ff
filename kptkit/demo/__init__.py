"""The demo set: drawn people with exact keypoints.

`kptkit.demo.dataset.write_demo_data` writes a whole set, `kptkit.demo.scene.draw_scene` draws one
picture. They are not imported here: the processes that draw start from this package.
"""
