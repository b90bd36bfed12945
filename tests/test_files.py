"""A file is the old one or the whole new one."""

import pytest

from lung_srad.files import remove_leftovers, replacing


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "a.bin"
    for content in (b"one", b"two"):
        with replacing(path) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() == b"one"
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def stop() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_leaves_can_be_removed(tmp_path):
    leftover, other = tmp_path / ".a.bin.1234abcd.tmp", tmp_path / ".hidden"
    for path in (leftover, other):
        path.touch()
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [other]
