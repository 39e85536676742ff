"""A campaign of faults: broken inputs, kills, full disks, load; each answer is right or wrong.

    cd tests && python -m campaign                       the whole, about three hours on two cores
    cd tests && python -m campaign pictures --share 0.1  the next tenth of one part

A part is a module with a function `attempt(seed)`, which tries one thing and returns "" if the
answer was right, else what was wrong in one line. Attempts run in child processes, which may die.
What was tried is added up by seed in `ledger.jsonl`, so that a run goes on where the last stopped;
`--again` repeats what was wrong. `test_campaign.py` runs the first hundredth of every part.
"""
