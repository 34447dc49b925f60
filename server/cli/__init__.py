"""The command `halyard`: one module for each group of commands.

Tables for people, ``--json`` for programs. Exit codes are in :mod:`server.cli.exits`. Modules
that are heavy to import are imported inside of commands, so that ``--help`` answers at once.
"""
