"""Signal processing without learning: pure functions of arrays and tensors."""
