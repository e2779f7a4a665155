"""Downloads are checked by the hash that their makers publish."""

import hashlib
from pathlib import Path

import pytest

from toolkit import files
from toolkit.log import UserError

TEXT = b"a published file"


@pytest.fixture
def published(tmp_path: Path) -> str:
    path = tmp_path / "published.txt"
    path.write_bytes(TEXT)
    return path.as_uri()


def test_download_checks_sha256_or_md5(tmp_path: Path, published: str) -> None:
    for name, hashes in {
        "a": {"sha256": hashlib.sha256(TEXT).hexdigest()},
        "b": {"md5": hashlib.md5(TEXT).hexdigest()},
        "c": {},
    }.items():
        assert files.download(published, tmp_path / "new" / name, **hashes).read_bytes() == TEXT


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_other_content_is_refused_and_not_kept(tmp_path: Path, published: str, algorithm: str) -> None:
    with pytest.raises(UserError, match=rf"expected {algorithm} 00, found [0-9a-f]+ \(16 bytes\)"):
        files.download(published, tmp_path / "new", **{algorithm: "00"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published.txt"]


def test_a_file_that_is_right_is_not_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_bytes(TEXT)
    nowhere = (tmp_path / "nowhere").as_uri()
    assert files.download(nowhere, path, md5=hashlib.md5(TEXT).hexdigest()) == path
    with pytest.raises(UserError, match=r"cannot fetch .*put the file at .* yourself"):
        files.download(nowhere, path, md5="00")
