"""`python -m aifactory.cli`."""

from aifactory.cli import main

if __name__ == "__main__":
    main()
