"""`python -m worker.cli`: the command `pointsman` where its script is not on PATH."""

from __future__ import annotations

from worker.cli import main

if __name__ == "__main__":
    main()
