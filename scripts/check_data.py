"""Lists all faults of an annotation file and its pictures, and draws some persons.

    python scripts/check_data.py --help

The command itself is `kptkit.commands.data_check`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data_check", tensorflow=False)
