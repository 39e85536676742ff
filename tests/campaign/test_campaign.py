"""The first hundredth of every part of the campaign, and its bookkeeping."""

import json

import pytest

from campaign.__main__ import first_of
from campaign.ledger import Ledger, Tally
from campaign.parts import PARTS, Part
from campaign.run import run_part


def record(first, stop, wrong=(), part="pictures"):
    wrong = {str(seed): "bad" for seed in wrong}
    return {"part": part, "first": first, "stop": stop, "wrong": wrong} | {
        "seconds": 1.0,
        "peak_mb": 10,
        "commit": "a",
    }


@pytest.mark.parametrize(
    ("records", "ranges", "gaps", "wrong"),
    [
        ([], [], [(0, 10)], []),
        ([(0, 10)], [(0, 10)], [], []),
        ([(0, 12)], [(0, 12)], [], []),
        ([(2, 4)], [(2, 4)], [(0, 2), (4, 10)], []),
        ([(2, 4), (4, 6)], [(2, 6)], [(0, 2), (6, 10)], []),
        ([(6, 8), (0, 3), (2, 4)], [(0, 4), (6, 8)], [(4, 6), (8, 10)], []),
        ([(0, 4, (1, 3))], [(0, 4)], [(4, 10)], [1, 3]),
        # What was wrong is right the second time.
        ([(0, 4, (1, 3)), (1, 2)], [(0, 4)], [(4, 10)], [3]),
        ([(0, 4, (1, 3)), (3, 4, (3,))], [(0, 4)], [(4, 10)], [1, 3]),
    ],
)
def test_a_tally_adds_up_by_seed(records, ranges, gaps, wrong):
    tally = Tally()
    for one in records:
        tally.add(record(*one))
    assert (tally.ranges, tally.gaps(10), sorted(tally.wrong)) == (ranges, gaps, wrong)


@pytest.mark.parametrize(
    ("ranges", "count", "taken"),
    [
        ([], 5, []),
        ([(0, 10)], 0, []),
        ([(0, 10)], 3, [(0, 3)]),
        ([(0, 2), (4, 6), (8, 9)], 3, [(0, 2), (4, 5)]),
        ([(0, 2)], 5, [(0, 2)]),
    ],
)
def test_the_next_share_is_taken_from_the_front(ranges, count, taken):
    assert first_of(ranges, count) == taken


def test_a_ledger_is_read_back(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    assert "| 0 | mutated pictures | 0 | 0 | 0% |" in ledger.table()
    ledger.add(record(0, 1000, wrong=(7,)))
    ledger.add(record(0, 10, part="requests"))
    table = Ledger(path).table()
    assert table == ledger.table()
    assert "| 1,000 | mutated pictures | 999 | 1 | 1% |" in table
    assert "| 1,000 | requests | 1,000 | 0 | 1% |" in table
    assert table.endswith("pictures 7: bad")


def test_a_child_may_die_hang_and_fail(tmp_path, monkeypatch):
    """One record of six seeds, in which three children die and each other answer is kept."""
    (tmp_path / "troubled.py").write_text(
        "import os, time\n"
        "def prepare(folder):\n"
        "    open(folder + '/made', 'w').close()\n"
        "def attempt(seed):\n"
        "    print('noise')\n"
        "    assert os.path.exists(os.environ['KPTKIT_CAMPAIGN_FOLDER'] + '/made')\n"
        "    if seed == 1: os.abort()\n"
        "    if seed == 2: return 'two\\nlines'\n"
        "    if seed == 3: time.sleep(60)\n"
        "    if seed == 4: raise KeyError('gone')\n"
        "    return ''\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    part = Part("troubled", "tries", 6, 6, 2.0, module="troubled")
    monkeypatch.setitem(PARTS, "troubled", part)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    run_part(part, [(0, 6)], ledger, 1)
    (written,) = map(json.loads, ledger.path.read_text().splitlines())
    assert (written["first"], written["stop"], written["peak_mb"] > 1) == (0, 6, True)
    wrong = ledger.tallies["troubled"].wrong
    assert sorted(wrong) == [1, 2, 3, 4]
    assert "the process ended with -6" in wrong[1]
    assert wrong[2] == "two | lines"
    assert "the process ended with -9" in wrong[3]
    assert "KeyError: 'gone'" in wrong[4]


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_the_first_hundredth_is_right(name, tmp_path):
    part, ledger = PARTS[name], Ledger(tmp_path / "ledger.jsonl")
    run_part(part, [(0, max(part.attempts // 100, 1))], ledger, jobs=2)
    assert ledger.tallies[name].wrong == {}
