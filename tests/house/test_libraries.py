"""Where libraries are looked for: the files that wheels list."""

import os

from cymx import config


def test_onednn_is_found_where_its_wheel_says(tmp_path, monkeypatch):
    site, library = tmp_path / "lib" / "site-packages", tmp_path / "elsewhere" / "libdnnl.so.3"
    info = site / "onednn_cpu_gomp-3.0.dist-info"
    info.mkdir(parents=True)
    library.parent.mkdir()
    library.touch()
    (info / "RECORD").write_text("../../elsewhere/libdnnl.so.3,sha256=x,0\nonednn.py,sha256=y,1\n")
    monkeypatch.setattr("sys.path", [str(tmp_path / "empty"), str(site)])
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert config.onednn_path() == os.path.realpath(library)
    library.unlink()
    assert config.onednn_path() is None
