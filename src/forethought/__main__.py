"""`python -m forethought`: the command line."""

from forethought.cli.main import run

if __name__ == "__main__":
    run()
