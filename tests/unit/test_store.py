"""Stored features: what was written is read back, from as many shards as there are; what is not whole does not count."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.store import Store, StoreWriter, folder_of, write
from toolkit.log import UserError

MADE_FROM = {"feature": "steps", "manifest": "corpus/train"}


def steps(frames: int, begin: int = 0) -> np.ndarray:
    return np.arange(begin, begin + 3 * frames, dtype=np.int16).reshape(frames, 3)


def test_a_recordings_frames_are_read_back(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "published/vggish", "openmic2018/test")
    assert folder == tmp_path / "features/published/vggish/openmic2018/test"
    write(folder, MADE_FROM, [("a", steps(4)), ("b", steps(2, 50))])
    store = Store(folder)
    assert (list(store), len(store), store.shape, store.dtype) == (["a", "b"], 2, (3,), np.int16)
    assert "a" in store
    assert "c" not in store
    np.testing.assert_array_equal(store.read("b"), steps(2, 50))
    np.testing.assert_array_equal(store.read("a", start=1, frames=2), steps(4)[1:3])
    np.testing.assert_array_equal(store.read("a", start=3, frames=9), steps(4)[3:])
    assert store.frames("a") == 4
    assert store.places(["b", "a"]).tolist() == [[0, 4, 2], [0, 0, 4]]
    store.gather(np.array([0, 0]), np.array([5, 1]), found := np.empty((2, 3)))
    np.testing.assert_array_equal(found, np.stack([steps(2, 50)[1], steps(4)[1]]))
    with pytest.raises(UserError, match="nothing is stored of 'c'"):
        store.read("c")


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=4))
def test_any_number_of_shards_of_any_lengths(tmp_path_factory: pytest.TempPathFactory, shards: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("store")
    writer = StoreWriter(folder, MADE_FROM)
    expected = {}
    for number, lengths in enumerate(shards):
        rows = [(f"{number}-{place}", steps(frames, 10 * place)) for place, frames in enumerate(lengths)]
        writer.write(number, rows)
        expected |= dict(rows)
    if not expected:
        with pytest.raises(UserError, match="expected at least one recording"):
            writer.finish(len(shards))
        return
    writer.finish(len(shards))
    store = Store(folder)
    assert list(store) == list(expected)
    for identity, frames in expected.items():
        np.testing.assert_array_equal(store.read(identity), frames)


def test_shards_of_the_same_origin_are_kept_and_others_dropped(tmp_path: Path) -> None:
    StoreWriter(tmp_path, MADE_FROM).write(0, [("a", steps(2))])
    again = StoreWriter(tmp_path, MADE_FROM)
    assert (again.has(0), again.has(1), again.is_finished) == (True, False, False)
    with pytest.raises(UserError, match="Next: run the stage `features`"):
        Store(tmp_path)
    again.finish(1)
    assert StoreWriter(tmp_path, MADE_FROM).is_finished
    other = StoreWriter(tmp_path, {**MADE_FROM, "feature": "others"})
    assert (other.has(0), other.is_finished) == (False, False)


def test_who_was_skipped_is_told_with_the_reason(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path, MADE_FROM)
    writer.write(0, [("a", steps(2))], {"b": "truncated"})
    writer.finish(1)
    store = Store(tmp_path)
    assert (list(store), store.skipped) == (["a"], {"b": "truncated"})
    with pytest.raises(UserError, match="nothing is stored of 'b': truncated"):
        store.read("b")


def test_another_process_maps_the_files_itself(tmp_path: Path) -> None:
    write(tmp_path, MADE_FROM, [("a", steps(1000))])
    store = Store(tmp_path)
    store.read("a")
    sent = pickle.dumps(store)
    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent).read("a"), steps(1000))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def overwrite(path: Path) -> None:
    path.write_bytes(bytes(200))


def lose_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("00001.npy", cut),
        ("00001.npy", overwrite),
        ("00001.npy", Path.unlink),
        ("00001.jsonl", overwrite),
        ("00001.jsonl", lose_a_line),
    ],
)
def test_a_damaged_shard_is_named_and_made_anew(tmp_path: Path, name: str, damage, caplog: pytest.LogCaptureFixture) -> None:
    writer = StoreWriter(tmp_path, MADE_FROM)
    for shard in range(3):
        writer.write(shard, [(f"{shard}-{place}", steps(2, shard)) for place in range(2)])
    writer.finish(3)
    damage(tmp_path / name)
    with pytest.raises(UserError, match=r"00001\.npy: this shard of stored features is damaged.*`features` with --force"):
        Store(tmp_path)
    again = StoreWriter(tmp_path, MADE_FROM)
    assert "00001.npy" in caplog.text
    assert ([again.has(shard) for shard in range(3)], again.is_finished) == ([True, False, True], False)
    again.write(1, [(f"1-{place}", steps(2, 1)) for place in range(2)])
    again.finish(3)
    np.testing.assert_array_equal(Store(tmp_path).read("1-1"), steps(2, 1))
