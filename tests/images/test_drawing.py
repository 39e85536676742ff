"""Drawing: exact colours where they carry meaning, inputs unchanged, any coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kptkit.errors import InputError
from kptkit.images import drawing
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import KeypointSchema

GREY = np.full((120, 100, 3), 128, np.uint8)
# A triangle: left hand, right hand, head; the hands hang from the head.
TOY = KeypointSchema(
    names=("head", "left_hand", "right_hand"),
    edges=((0, 1), (0, 2), (1, 2)),
    flip_pairs=((1, 2),),
    oks_sigmas=(0.1, 0.1, 0.1),
)
TOY_PERSON = np.array([[[50, 20, 1.0], [80, 90, 1.0], [20, 90, 1.0]]])


def gaussian_maps(keypoints_xy, shape_hw):
    """Peaks of 1 by the formula, one map (h, w, K) for each point in heatmap px."""
    rows, columns = np.mgrid[: shape_hw[0], : shape_hw[1]]
    return np.stack(
        [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in keypoints_xy], axis=-1
    )


def test_nobody_leaves_the_picture_as_it_is():
    drawn = drawing.draw_skeleton(GREY, np.zeros((0, 17, 3)), COCO_17)
    np.testing.assert_array_equal(drawn, GREY)
    assert drawn is not GREY
    np.testing.assert_array_equal(drawing.draw_boxes(GREY, np.zeros((0, 4))), GREY)


def test_colours_tell_left_from_right():
    drawn = drawing.draw_skeleton(GREY, TOY_PERSON, TOY)
    # x, y: the three joints, then the middle of head-left, head-right and left-right.
    pixels = {(50, 20): drawing.MIDDLE, (80, 90): drawing.LEFT, (20, 90): drawing.RIGHT}
    pixels |= {(65, 55): drawing.LEFT, (35, 55): drawing.RIGHT, (50, 90): drawing.MIDDLE}
    for (x, y), colour in pixels.items():
        assert tuple(drawn[y, x].tolist()) == colour, (x, y)
    colours = drawing.keypoint_colours(COCO_17)
    for name, colour in zip(COCO_17.names, colours, strict=True):
        expected = {"left": drawing.LEFT, "right": drawing.RIGHT}
        assert colour == expected.get(name.split("_")[0], drawing.MIDDLE)


def test_a_mirrored_person_has_mirrored_colours():
    mirrored = TOY_PERSON.copy()
    mirrored[0, [1, 2]] = mirrored[0, [2, 1]]
    drawn, swapped = (drawing.draw_skeleton(GREY, p, TOY) for p in (TOY_PERSON, mirrored))
    assert tuple(swapped[90, 80].tolist()) == drawing.RIGHT
    assert (drawn != swapped).any()


@pytest.mark.parametrize(
    "hidden", [[80, 90, 0.19], [np.nan, 90, 1.0], [80, -np.inf, 1.0], [80, 90, np.nan], [1e6, 9, 1]]
)
def test_a_hidden_keypoint_takes_its_bones_with_it(hidden):
    person = TOY_PERSON.copy()
    person[0, 1] = hidden
    drawn = drawing.draw_skeleton(GREY, person, TOY, threshold=0.2)
    assert not (drawn == drawing.LEFT).all(axis=-1).any()
    assert (drawn == drawing.RIGHT).all(axis=-1).any()


def test_larger_persons_get_thicker_lines():
    image = np.zeros((800, 800, 3), np.uint8)
    small, large = (
        (drawing.draw_skeleton(image, TOY_PERSON * [size, size, 1], TOY) > 0).any(axis=-1).sum()
        for size in (1, 8)
    )
    # Lines that stay as thin as they are would need eight times the ink.
    assert large > 12 * small


def test_lines_lie_between_pixels():
    # A quarter of a pixel to the right: the columns of ink move by as much.
    drawn = [drawing.draw_skeleton(GREY, np.add(TOY_PERSON, (x, 0, 0)), TOY) for x in (0, 0.25)]
    ink = [np.abs(picture.astype(float) - 128).sum(axis=(0, 2)) for picture in drawn]
    centre = [np.average(np.arange(100), weights=column) for column in ink]
    assert 0.15 < centre[1] - centre[0] < 0.35


def test_inputs_are_left_alone():
    image, boxes = GREY.copy(), np.array([[10.0, 10, 50, 60]])
    keypoints, heatmaps = TOY_PERSON.copy(), gaussian_maps([(5, 5)] * 3, (30, 25))
    for array in (image, boxes, keypoints, heatmaps):
        array.setflags(write=False)
    drawing.draw_skeleton(image, keypoints, TOY)
    drawing.draw_boxes(image, boxes, ["one"])
    drawing.draw_heatmaps(image, heatmaps)
    drawing.contact_sheet([image, image[:50]], 2, (64, 64), ["a", "b"])
    drawing.training_sheet(image[None], keypoints, keypoints, heatmaps[None], TOY)
    np.testing.assert_array_equal(image, GREY)


@pytest.mark.parametrize(
    "view",
    [GREY[:, ::-1], GREY[::2, ::3], GREY.transpose(1, 0, 2), np.asfortranarray(GREY), GREY[:1, :1]],
)
def test_any_memory_layout_is_drawn_alike(view):
    plain = drawing.draw_skeleton(np.ascontiguousarray(view), TOY_PERSON, TOY)
    np.testing.assert_array_equal(drawing.draw_skeleton(view, TOY_PERSON, TOY), plain)
    assert drawing.draw_heatmaps(view, np.ones((3, 5, 2))).shape == view.shape


@pytest.mark.parametrize(
    "image", [GREY[..., 0], GREY[..., :2], GREY.astype(np.float32), GREY[:0], None]
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InputError, match="image: shape"):
        drawing.draw_skeleton(image, TOY_PERSON, TOY)


@pytest.mark.parametrize("shape", [(17, 3), (1, 17, 2), (1, 16, 3)])
def test_keypoints_of_another_schema_are_refused(shape):
    with pytest.raises(InputError, match="keypoints: shape"):
        drawing.draw_skeleton(GREY, np.zeros(shape), COCO_17)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, (2, 3, 3), elements=st.floats(allow_nan=True, allow_infinity=True)),
    hnp.arrays(np.float32, (2, 4), elements=st.floats(width=32)),
    st.text(max_size=20),
)
def test_no_coordinate_is_too_wild(keypoints, boxes, caption):
    keypoints[..., 2] = 1
    assert drawing.draw_skeleton(GREY, keypoints, TOY).shape == GREY.shape
    assert drawing.draw_boxes(GREY, boxes, [caption]).shape == GREY.shape


@pytest.mark.parametrize("caption", ["", "\udcff.jpg", "a\x00b\n", "x" * 5000, "日本 🙂"])
def test_any_caption_is_written(caption):
    sheet = drawing.contact_sheet([GREY], 1, (50, 50), [caption])
    assert sheet.shape == drawing.contact_sheet([GREY], 1, (50, 50), ["plain"]).shape


def test_boxes_are_drawn_on_their_edges():
    drawn = drawing.draw_boxes(GREY, [[20, 30, 70, 90]])
    for x, y in ((20, 60), (70, 60), (45, 30), (45, 90)):
        assert tuple(drawn[y, x].tolist()) == drawing.BOX, (x, y)
    np.testing.assert_array_equal(drawn[40:80, 30:60], GREY[40:80, 30:60])


def test_no_faces_leave_the_picture_as_it_is():
    nobody = np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
    drawn = drawing.draw_faces(GREY, *nobody)
    np.testing.assert_array_equal(drawn, GREY)
    assert drawn is not GREY


def test_a_face_has_a_box_and_five_points_in_the_colours_of_its_sides():
    points = np.array([[32, 45], [58, 46], [45, 60], [35, 75], [np.nan, np.inf]])
    drawn = drawing.draw_faces(GREY, [[20, 30, 70, 90]], [0.987], points[None])
    # The eye at the image's left is the person's right one.
    expected = [drawing.RIGHT, drawing.LEFT, drawing.MIDDLE, drawing.RIGHT]
    for (x, y), colour in zip(points[:4].astype(int), expected, strict=True):
        assert tuple(drawn[y, x].tolist()) == colour
    assert tuple(drawn[60, 20].tolist()) == drawing.BOX
    assert (drawn[40:80, 64:67] == GREY[40:80, 64:67]).all()


def test_small_faces_show_no_score_and_thin_lines():
    points = np.full((1, 5, 2), [25.0, 66.0])
    drawn = drawing.draw_faces(GREY, [[20, 60, 30, 72]], [0.5], points)
    rows, columns = np.nonzero((drawn != GREY).any(axis=-1))
    assert rows.min() >= 57
    assert columns.min() >= 17
    larger = drawing.draw_faces(GREY, [[20, 60, 80, 110]], [0.5], points)
    assert (larger[40:57] != GREY[40:57]).any()  # the score stands above the box


def test_a_heatmap_glows_where_its_peak_is():
    black = np.zeros((256, 192, 3), np.uint8)
    drawn = drawing.draw_heatmaps(black, gaussian_maps([(10, 40), (30, 20)], (64, 48)))
    light = drawn.astype(int).sum(axis=-1)
    # Heatmap pixel (10, 40) sits at crop pixel (40, 160): no half-pixel shift.
    assert np.argwhere(light == light.max()).tolist() == [[80, 120], [160, 40]]
    assert light[:, :10].max() == 0


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_flat_heatmaps_show_the_grey_crop(value):
    drawn = drawing.draw_heatmaps(GREY, np.full((30, 25, 3), value))
    np.testing.assert_array_equal(drawn, GREY // 2)


def test_a_sheet_lays_cells_out_in_rows():
    empty = drawing.contact_sheet([], 3, (40, 30))
    assert (empty == drawing.PAPER).all()
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    images = [np.full((30, 40, 3), colour, np.uint8) for colour in colours]
    sheet = drawing.contact_sheet(images, 2, (40, 30))
    assert sheet.shape == (8 + 2 * 38, 8 + 2 * 48, 3)
    for colour, (x, y) in zip(colours, [(8, 8), (56, 8), (8, 46)], strict=True):
        assert (sheet[y : y + 30, x : x + 40] == colour).all()
        assert (sheet[y - 8 : y, x : x + 40] == drawing.PAPER).all()


@pytest.mark.parametrize("shape_hw", [(1, 1), (3, 900), (900, 3), (31, 41), (500, 500)])
def test_odd_pictures_fit_their_cells(shape_hw):
    image = np.zeros((*shape_hw, 3), np.uint8)
    sheet = drawing.contact_sheet([image], 1, (40, 30))
    rows, columns = np.nonzero((sheet != drawing.PAPER).any(axis=-1))
    assert rows.min() >= 8
    assert rows.max() < 8 + 30
    assert columns.min() >= 8
    assert columns.max() < 8 + 40
    # Scaled up or down until one side is full.
    assert np.ptp(rows) + 1 == 30 or np.ptp(columns) + 1 == 40


def test_a_training_sheet_shows_all_three_for_each_sample():
    crops = np.stack([GREY] * 3)
    truth = np.repeat(TOY_PERSON, 3, axis=0)
    prediction = truth * [1, 1, 0.1]  # every score below the threshold: nothing drawn
    heatmaps = np.zeros((3, 30, 25, 3))
    sheet = drawing.training_sheet(crops, truth, prediction, heatmaps, TOY)
    cells = [sheet[8:128, 8 + 108 * column :][:, :100] for column in range(3)]
    np.testing.assert_array_equal(cells[0], drawing.draw_skeleton(GREY, TOY_PERSON, TOY))
    np.testing.assert_array_equal(cells[1], GREY)
    np.testing.assert_array_equal(cells[2], GREY // 2)
    with pytest.raises(ValueError, match="zip"):
        drawing.training_sheet(crops, truth[:2], prediction, heatmaps, TOY)
