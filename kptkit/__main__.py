"""`python -m kptkit` is the command `kptkit`."""

from kptkit.cli import main

if __name__ == "__main__":
    main()
