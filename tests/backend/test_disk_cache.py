"""The cache on disk: bounded, private, and never in the way."""

import os

from pullback.backend.disk_cache import (
    DiskCache,
    compiling_threads,
    default_directory,
    machine_fingerprint,
)


def test_an_entry_comes_back(tmp_path):
    cache = DiskCache(str(tmp_path / "cache"))
    assert cache.get("k") is None
    cache.put("k", b"entry" * 100)
    assert cache.get("k") == b"entry" * 100
    assert [e.name for e in cache.entries()] == ["k.xla"]


def test_the_directory_is_made_for_its_user_only(tmp_path):
    cache = DiskCache(str(tmp_path / "a" / "cache"))
    cache.put("k", b"entry")
    assert os.stat(cache.directory).st_mode & 0o777 == 0o700


def test_a_directory_others_can_write_to_is_not_used(tmp_path):
    cache = DiskCache(str(tmp_path / "cache"))
    cache.put("k", b"entry")
    os.chmod(cache.directory, 0o777)
    assert cache.get("k") is None
    cache.put("other", b"entry")
    assert len(cache.entries()) == 1


def test_a_directory_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = DiskCache(str(tmp_path / "file" / "cache"))
    cache.put("k", b"entry")
    assert cache.get("k") is None
    cache.clear()


def test_a_damaged_entry_is_a_miss_and_goes(tmp_path):
    cache = DiskCache(str(tmp_path))
    cache.put("k", b"entry" * 100)
    with open(cache.path("k"), "r+b") as file:
        file.truncate(10)
    assert cache.get("k") is None
    assert cache.entries() == []


def test_the_entries_used_longest_ago_go_first(tmp_path):
    cache = DiskCache(str(tmp_path), limit=1000)
    for i in range(10):
        cache.put(str(i), os.urandom(190))
        os.utime(cache.path(str(i)), (i, i))
    cache.get("0")
    cache.sweep()
    names = {e.name for e in cache.entries()}
    assert sum(e.stat().st_size for e in cache.entries()) <= 750
    assert "0.xla" in names
    assert "1.xla" not in names


def test_an_entry_larger_than_the_cache_is_not_kept(tmp_path):
    cache = DiskCache(str(tmp_path), limit=100)
    cache.put("k", os.urandom(1000))
    assert cache.entries() == []


def test_clear_removes_every_entry(tmp_path):
    cache = DiskCache(str(tmp_path))
    cache.put("a", b"1")
    cache.put("b", b"2")
    cache.clear()
    assert cache.entries() == []


def test_keys_depend_on_the_text_and_on_the_circumstances():
    keys = {
        DiskCache.key("text", 1),
        DiskCache.key("text", 2),
        DiskCache.key("text2", 1),
    }
    assert len(keys) == 3
    assert DiskCache.key("text", 1) in keys


def test_the_environment_chooses_place_and_size(monkeypatch):
    monkeypatch.setenv("PULLBACK_CACHE_DIR", "/somewhere")
    monkeypatch.setenv("PULLBACK_CACHE_LIMIT", "12345")
    assert DiskCache().directory == "/somewhere"
    assert DiskCache().limit == 12345
    monkeypatch.delenv("PULLBACK_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/base")
    assert default_directory() == "/base/pullback"


def test_the_fingerprint_of_a_machine_does_not_change():
    assert machine_fingerprint() == machine_fingerprint()


def test_programs_are_kept_apart_by_the_number_of_threads(monkeypatch):
    # The compiler splits loops between the threads that it finds when it is loaded.
    here = compiling_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(1000)), False)
    many = compiling_threads()
    monkeypatch.delattr(os, "sched_getaffinity")
    everywhere = compiling_threads()
    monkeypatch.setenv("PJRT_NPROC", "3")
    assert len({here, many, compiling_threads()}) == 3
    assert many[0] == 1000
    assert everywhere[0] == os.cpu_count()
