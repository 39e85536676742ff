"""Writes TF Serving's configuration for exported models, and prints the command that starts it.

    python scripts/serve.py --help

Another name of the command `kptkit serve`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("serve")
