"""`python -m rayster_site` is the command `rayster-site`."""

from rayster_site.cli import main

if __name__ == "__main__":
    main()
