"""Backbones of music taggers, as they are compared by Won, Ferraro, Bogdanov & Serra (2020, "Evaluation of CNN-based automatic
music tagging models"), whose released code is the source of every size that the papers leave open."""
