"""Reprise: what every recipe in `egs/` calls.  The storeys are drawn in README.md; importing this package loads none of them."""

__version__ = "0.1.0"
