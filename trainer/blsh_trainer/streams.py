"""Standard output that takes any name of a file."""

from __future__ import annotations

import io
import sys


def escape_what_cannot_be_encoded() -> None:
    """Have undecodable names, and letters that a locale lacks, printed as escapes.

    Python would end the command otherwise, when its work is already done.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
