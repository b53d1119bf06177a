"""Reads an exported lock on stdin and writes it to the named file, with our first line and without any address."""

import sys
from pathlib import Path

WHAT = {
    "requirements.lock": "everything `make demo`, `make check` and `make test` need",
    "requirements-proof.lock": "what only proofs need (vendor clients, peers) beside the rest",
}
path = Path(sys.argv[1])
lines = [line for line in sys.stdin if not line.startswith("#") and not line.startswith("--")]
path.write_text(f"# Hashed lock of {WHAT[path.name]}. Remade by `make lock`; holds no address.\n" + "".join(lines))
