"""The experiments of the paper, on any corpus: all systems side by side, and a report."""
