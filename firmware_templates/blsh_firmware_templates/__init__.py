"""The C runtime, its ports and the templates of the generated data files."""
