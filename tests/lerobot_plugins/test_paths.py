import pytest

from lerobot_plugins.errors import ZooError
from lerobot_plugins.paths import inside

HOSTILE = [
    "../x", "a/../../x", "..", ".", "", "/etc/passwd", "//x", "~/x", "a//b", "./x", "a/./b", "C:/x", "c:x",
    "..\\x", "a\\b", "a\0b", "a\nb", "a\u202eb", "a\u200bb", "\ufeffa", "x" * 256, "d/" + "é" * 128, "a/",
    None, 7, ["x"], {"x": 1}, True, b"x", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ZooError, match="outside of its folder"):
        inside(tmp_path, name, "config.json")


@pytest.mark.parametrize("name", ["x.safetensors", "a/b c/ü.json", ".hidden", "..x", "x" * 255])
def test_other_names_are_taken(tmp_path, name):
    assert inside(tmp_path, name, "config.json") == tmp_path / name


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path):
    root = tmp_path / "policy"
    (root / "a").mkdir(parents=True)
    (tmp_path / "secret").write_text("")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    (root / "within").symlink_to(root / "a")
    for name in ("out", "up/secret"):
        with pytest.raises(ZooError, match="a link out of"):
            inside(root, name, "config.json")
    assert inside(root, "within/x", "config.json").parent.resolve() == (root / "a").resolve()


def test_links_of_the_hubs_cache_stay(tmp_path):
    snapshot = tmp_path / "models--user--policy" / "snapshots" / "abc"
    blob = tmp_path / "models--user--policy" / "blobs" / "123"
    for folder in (snapshot, blob.parent):
        folder.mkdir(parents=True)
    blob.write_text("")
    (snapshot / "config.json").symlink_to(blob)
    (snapshot / "other").symlink_to(tmp_path / "x")
    assert inside(snapshot, "config.json", "x").is_file()
    with pytest.raises(ZooError, match="a link out of"):
        inside(snapshot, "other", "x")
