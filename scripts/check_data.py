"""Lists all faults of an annotation file and its pictures, and draws some persons.

    python scripts/check_data.py --help

Another name of the command `kptkit data check`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data check")
