"""The list of skipped pictures."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from kptkit.data.skipped import SkipLedger
from kptkit.errors import InputError


@pytest.mark.parametrize(
    ("num_samples", "skipped", "stops"),
    [(0, 0, False), (50, 10, False), (50, 11, True), (5000, 50, False), (5000, 51, True)],
)
def test_stops_above_ten_and_one_percent(num_samples, skipped, stops):
    ledger = SkipLedger(num_samples)
    for number in range(skipped):
        ledger.record(f"{number}.jpg", "broken")
    if stops:
        with pytest.raises(InputError, match=rf"0\.jpg: broken; .*{skipped} .*{skipped} broken"):
            ledger.check()
    else:
        ledger.check()


def test_a_picture_counts_once_from_any_thread(tmp_path):
    ledger = SkipLedger(100)
    with ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(ledger.record, f"{number % 3}.jpg", "empty" if number % 3 else "missing")
    assert len(ledger) == 3
    ledger.write(tmp_path / "skipped.json")
    assert json.loads((tmp_path / "skipped.json").read_text()) == {
        "counts": {"missing": 1, "empty": 2},
        "skipped": {"0.jpg": "missing", "1.jpg": "empty", "2.jpg": "empty"},
    }


def test_the_first_stopping_error_is_raised():
    ledger = SkipLedger(100)
    for message in ("first", "second"):
        ledger.stop(InputError(message))
    with pytest.raises(InputError, match="first"):
        ledger.check()
