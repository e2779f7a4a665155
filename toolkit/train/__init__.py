"""From examples to trained weights."""
