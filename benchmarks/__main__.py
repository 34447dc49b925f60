"""Run the benchmarks, all of them or those named: ``python -m benchmarks appends rebuild``."""

from __future__ import annotations

import subprocess
import sys

QUESTIONS = (
    "appends",
    "rebuild",
    "latency",
    "http_commands",
    "fan_out",
    "connection_memory",
    "ofrep_bulk",
    "big_project",
    "flag_lists",
)


def main(wanted: list[str]) -> int:
    """Run each in a process of its own, so that none warms or burdens another."""
    unknown = [name for name in wanted if name not in QUESTIONS]
    if unknown:
        print(f"no benchmark is called {unknown[0]}; there are: {', '.join(QUESTIONS)}")
        return 2
    failed = 0
    for name in wanted or QUESTIONS:
        print(f"\n== {name} ==", flush=True)
        failed |= subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], check=False
        ).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
