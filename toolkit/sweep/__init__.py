"""The verb `sweep`: many experiments of one configuration, trained, predicted, scored and held against each other.

`axes` has what is varied, `run` what is done with it.
"""
