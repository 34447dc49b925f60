"""Writes ``schema.sql``: the shape that all migrations together give, for people to read.

``python -m eventstore.schema_dump DATABASE_URL`` prints the schema of a freshly migrated database;
it needs ``pg_dump`` on the path. A test proves that the file gives the same database.
"""

from __future__ import annotations

import re
import subprocess
import sys

# Function bodies stay unchecked until the tables that they name exist.
_NOISE = re.compile(r"^(--|SET (?!check_function_bodies)|SELECT pg_catalog\.set_config|\\)")
_HEADER = """\
-- What all migrations together give, for people to read: Halyard itself only ever migrates.
-- Written by `python -m eventstore.schema_dump`.
"""


def readable(dump: str) -> str:
    """A dump without its session settings and banners, blank lines squeezed."""
    depth, lines = 0, []
    for line in dump.splitlines():
        if depth % 2 or not _NOISE.match(line):
            lines.append(line)
        depth += line.count("$$")
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return f"{_HEADER}\n{text}\n"


def main() -> None:
    """Print the schema of the database whose URL is the only argument."""
    command = ["pg_dump", "--schema-only", "--no-owner", "--no-privileges", sys.argv[1]]
    dump = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    sys.stdout.write(readable(dump.stdout))


if __name__ == "__main__":
    main()
