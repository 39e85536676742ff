"""`python -m kptkit`: the command `kptkit`."""


def main() -> None:
    """The command line, which Ctrl+C ends in one line even while it is still being imported."""
    try:
        from kptkit import cli

        cli.main()
    except KeyboardInterrupt:
        import sys

        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
