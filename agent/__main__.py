"""`python -m agent`: the command line, for launchers that start modules."""

from agent.cli import app

app()
