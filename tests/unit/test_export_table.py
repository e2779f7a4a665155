"""What `toolkit.infer.export_table` says of exports is in the help."""

import pytest

from toolkit.cli import main
from toolkit.infer.export_formats import FORMATS
from toolkit.infer.export_table import SUFFIXES, others, text


def test_the_table_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert text() in capsys.readouterr().out
    assert tuple(FORMATS) == SUFFIXES


def test_another_format_is_one_that_was_tried() -> None:
    assert others("hypotheses", ".onnx") == [".pt2", ".ts"]
    assert others("pitch", ".onnx") == [".ts"]
