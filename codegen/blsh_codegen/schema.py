"""Version of what exports consist of: headers, runtime, manifest and blob fit each other by it."""

from __future__ import annotations

EXPORT_SCHEMA_VERSION = 4
"""Not that of model files: the same model can be exported in another layout."""
