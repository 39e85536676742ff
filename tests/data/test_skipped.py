"""Counting skipped pictures, and stopping at too many of them."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from kptkit.data.skipped import SkippedPictures
from kptkit.errors import InputError


@pytest.mark.parametrize(
    ("num_samples", "count", "stops"),
    [(0, 0, False), (50, 10, False), (50, 11, True), (5000, 50, False), (5000, 51, True)],
)
def test_stops_above_ten_and_one_percent(num_samples, count, stops):
    skipped = SkippedPictures(num_samples)
    for number in range(count):
        skipped.record(f"{number}.jpg", "broken")
    if stops:
        with pytest.raises(InputError, match=rf"0\.jpg: broken; .*{count} .*{count} broken"):
            skipped.check()
    else:
        skipped.check()


def test_a_picture_counts_once_from_any_thread(tmp_path):
    skipped = SkippedPictures(100)
    with ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(skipped.record, f"{number % 3}.jpg", "empty" if number % 3 else "missing")
    assert len(skipped) == 3
    skipped.write(tmp_path / "skipped.json")
    assert json.loads((tmp_path / "skipped.json").read_text()) == {
        "counts": {"missing": 1, "empty": 2},
        "skipped": {"0.jpg": "missing", "1.jpg": "empty", "2.jpg": "empty"},
    }


def test_the_first_stopping_error_is_raised():
    skipped = SkippedPictures(100)
    for message in ("first", "second"):
        skipped.stop(InputError(message))
    with pytest.raises(InputError, match="first"):
        skipped.check()
