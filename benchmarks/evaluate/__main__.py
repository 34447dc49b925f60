"""Run the parts, all of them or those named: ``python -m benchmarks.evaluate peers``."""

from __future__ import annotations

import subprocess
import sys

PARTS = ("peers", "compiling", "footprint", "changes", "threads")


def main(wanted: list[str]) -> int:
    """Run each in a process of its own, so that none warms or burdens another."""
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"there is no part called {unknown[0]}; there are: {', '.join(PARTS)}")
        return 2
    failed = 0
    for name in wanted or PARTS:
        print(f"\n== {name} ==", flush=True)
        command = [sys.executable, "-m", f"benchmarks.evaluate.{name}"]
        failed |= subprocess.run(command, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
