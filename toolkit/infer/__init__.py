"""From trained weights to predictions."""
