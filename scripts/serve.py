"""Writes what TF Serving needs to serve exported models together, and prints how it is started.

    python scripts/serve.py --help

The command itself is `kptkit.commands.serve`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("serve", tensorflow=False)
