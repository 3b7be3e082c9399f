"""Train boosted locality sensitive hashing models for speech denoising."""

from importlib.metadata import version

__version__ = version("blsh")
