"""Reprise: what every recipe in `egs/` calls.  Importing it loads none of its parts."""

__version__ = "0.1.0"
