"""``python -m sandbox``: parse, then run."""

from sandbox.cli import main

if __name__ == "__main__":
    main()
