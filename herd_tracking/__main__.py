"""`python -m herd_tracking`."""

from herd_tracking.cli import main

if __name__ == "__main__":
    main()
