"""Corpora are prepared without torch, which each of many workers would load for seconds and half a gigabyte."""

import subprocess
import sys

import numpy as np
import pytest

from toolkit import audio

LISTED = """
import pkgutil, sys
from importlib import import_module
from toolkit import corpora
for module in pkgutil.iter_modules(corpora.__path__):
    if not module.name.startswith("_"):
        import_module(f"toolkit.corpora.{module.name}")
        print(module.name, "torch" in sys.modules)
"""


def test_no_corpus_loads_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True)
    loaded = [name for name, torch in map(str.split, done.stdout.splitlines()) if torch == "True"]
    assert not loaded[:1]


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_arrays_are_written_and_read_as_they_are(tmp_path, suffix) -> None:
    samples = np.rint(1000 * np.random.default_rng(0).standard_normal((2, 300))).astype(np.float32) / 2**15
    path = tmp_path / f"sound.{suffix}"
    audio.write(path, samples, 8000)
    np.testing.assert_array_equal(audio.read_array(path), samples)
    np.testing.assert_array_equal(audio.read_array(path, 290, 20), samples[:, 290:])
    np.testing.assert_array_equal(audio.read(path).numpy(), samples)
