"""Downloads from a server that cuts, stalls, changes a file and answers with a page: what comes out is whole, or an error that says why."""

import hashlib
import io
import json
import os
import tarfile
import threading
import time
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from typer.testing import CliRunner

from sercore.__main__ import app
from sercore.data.card import CARDS, Card, card_names, load_card, read_card
from sercore.data.fetch import STAGING, fetch
from sercore.errors import CorpusError


class Server(ThreadingHTTPServer):
    """Serves `content`, in the manner of `moods`: one a request, then as it should."""

    daemon_threads = True

    def __init__(self):
        self.content, self.moods, self.asked, self.ranges = b"", [], [], True
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        server, mood = self.server, self.server.moods.pop(0) if self.server.moods else ""
        asked = self.headers.get("Range", "")
        server.asked.append(asked)
        if mood in ("404", "503"):
            return self.send_error(int(mood))
        body, first = server.content, 0
        if mood == "page":
            body = b"<html>please log in</html>"
        if mood == "flipped":
            body = bytes([body[0] ^ len(server.asked)]) + body[1:]
        if asked and server.ranges:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8" if mood == "page" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        half = body[first : first + (len(body) - first) // 2]
        if mood == "stall":
            self.wfile.write(half)
            self.wfile.flush()
            self.server.ended.wait(30)
        else:
            self.wfile.write(half if mood == "cut" else body[first:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()
        yield server
        server.ended.set()
        server.shutdown()


def tar(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def card(server, content=None, name="a.tar.gz", method="sha256", **more) -> Card:
    """A card whose download is what the server has (or another content, of which only the checksum is known)."""
    content = server.content if content is None else content
    download = {
        "url": f"{server.url}/{name}",
        "size_bytes": len(content),
        "checksum": f"{method}:{hashlib.new(method, content).hexdigest()}",
        **more,
    }
    return load_card("fsdd").model_copy(update={"downloads": Card.model_validate(changed(downloads=[download])).downloads})


def changed(**fields):
    return {**yaml.safe_load((CARDS / "fsdd.yml").read_text(encoding="utf-8")), **fields}


FILES = {"recordings/0_theo_0.wav": os.urandom(300_000), "README.md": b"read me"}


def whole(folder):
    return {path.relative_to(folder / "fsdd").as_posix(): path.read_bytes() for path in (folder / "fsdd").rglob("*") if path.is_file()}


get = partial(fetch, timeout_s=0.5)


@pytest.mark.parametrize(("name", "make", "method"), [("a.tar.gz", tar, "sha256"), ("a.zip", zipped, "md5"), ("a.tgz", tar, "sha256")])
def test_an_archive_is_put_in_place_when_it_is_whole(name, make, method, server, tmp_path):
    server.content = make(FILES)
    assert get(card(server, name=name, method=method), tmp_path) == tmp_path / "fsdd"
    assert whole(tmp_path) == FILES
    assert not (tmp_path / STAGING / "fsdd").exists()


def test_a_file_that_is_no_archive_is_kept_as_it_is(server, tmp_path):
    server.content = b"idx"
    get(card(server, name="train-labels-idx1-ubyte.gz"), tmp_path)
    assert whole(tmp_path) == {"train-labels-idx1-ubyte.gz": b"idx"}


def test_the_folder_inside_an_archive_is_what_is_taken(server, tmp_path):
    server.content = tar({f"LibriSpeech/{name}": data for name, data in FILES.items()})
    get(card(server, inside="LibriSpeech"), tmp_path)
    assert whole(tmp_path) == FILES


def test_a_cut_download_goes_on_where_it_broke_off(server, tmp_path):
    server.content, server.moods = tar(FILES), ["cut", "cut"]
    get(card(server), tmp_path)
    assert whole(tmp_path) == FILES
    half = len(server.content) // 2
    assert server.asked[:2] == ["", f"bytes={half}-"]
    assert len(server.asked) == 3


def test_a_stalled_download_is_taken_up_again(server, tmp_path):
    server.content, server.moods = tar(FILES), ["stall"]
    start = time.monotonic()
    get(card(server), tmp_path)
    assert time.monotonic() - start < 20
    assert whole(tmp_path) == FILES
    assert server.asked[1].startswith("bytes=")


def test_what_broke_off_for_good_is_kept_for_the_next_call(server, tmp_path):
    server.content, server.moods = tar(FILES), ["cut", "503", "cut"]
    with pytest.raises(CorpusError, match=r"fsdd: broken download of http.*a.tar.gz \(.*bytes are there and kept\): run the command again"):
        get(card(server), tmp_path)
    assert not (tmp_path / "fsdd").exists()
    kept = (tmp_path / STAGING / "fsdd/a.tar.gz.part").stat().st_size
    assert kept > len(server.content) // 2
    get(card(server), tmp_path)
    assert server.asked[-1] == f"bytes={kept}-"
    assert whole(tmp_path) == FILES


def test_a_server_that_cannot_go_on_starts_anew(server, tmp_path):
    server.content, server.moods, server.ranges = tar(FILES), ["cut"], False
    get(card(server), tmp_path)
    assert whole(tmp_path) == FILES


def test_another_size_is_said_to_be_a_change_upstream_before_it_is_downloaded(server, tmp_path):
    server.content = tar({**FILES, "new.txt": b"new"})
    with pytest.raises(CorpusError, match=rf"has changed upstream: it has {len(server.content)} bytes, the card says 7 bytes"):
        get(card(server, content=b"another"), tmp_path)
    assert len(server.asked) == 1
    assert not (tmp_path / "fsdd").exists()


def test_the_same_size_with_another_content_is_a_change_upstream(server, tmp_path):
    server.content = tar(FILES)
    with pytest.raises(CorpusError, match="has changed upstream: its checksum is"):
        get(card(server, content=bytes(len(server.content))), tmp_path)
    assert len(server.asked) == 2  # downloaded twice: the same both times
    assert not (tmp_path / "fsdd").exists()


def test_a_damaged_transfer_is_repeated_and_is_no_change_upstream(server, tmp_path):
    server.content, server.moods = tar(FILES), ["flipped"]
    get(card(server), tmp_path)
    assert whole(tmp_path) == FILES


def test_two_different_damaged_transfers_are_a_broken_download(server, tmp_path):
    server.content, server.moods = tar(FILES), ["flipped", "flipped"]
    with pytest.raises(CorpusError, match="broken download: .* twice, each time with another content"):
        get(card(server), tmp_path)
    assert not (tmp_path / "fsdd").exists()


def test_an_error_page_is_no_file(server, tmp_path):
    server.content, server.moods = tar(FILES), ["page"]
    with pytest.raises(CorpusError, match="answers with a web page instead of the file"):
        get(card(server), tmp_path)
    assert list((tmp_path / STAGING / "fsdd").iterdir()) == []


def test_a_file_that_is_gone_is_said_at_once(server, tmp_path):
    server.content, server.moods = tar(FILES), ["404"]
    with pytest.raises(CorpusError, match="answers 404 Not Found"):
        get(card(server), tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_a_broken_download(server, tmp_path):
    gone = card(server, content=b"x")
    server.shutdown()
    server.server_close()
    with pytest.raises(CorpusError, match="broken download .*0 of 1 bytes"):
        get(gone, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tar.gz", tar({"../outside.txt": b"out"})),
        ("a.tar.gz", tar({"a/../../../outside.txt": b"out"})),
        ("a.tar.gz", tar({"a/x": b"1"}, {"a/link": "../../../outside.txt"})),
        ("a.tar.gz", tar({}, {"a": "/tmp"})),
        ("a.zip", zipped({"../outside.txt": b"out"})),
        ("a.zip", zipped({"/outside.txt": b"out"})),
        ("a.zip", zipped({"..\\outside.txt": b"out"})),
    ],
)
def test_an_archive_that_would_write_outside_is_caught(name, content, server, tmp_path):
    server.content = content
    with pytest.raises(CorpusError, match="do not use this archive"):
        get(card(server, name=name), tmp_path / "corpora")
    assert not (tmp_path / "corpora/fsdd").exists()
    assert not list(tmp_path.rglob("outside.txt"))


def test_an_archive_that_is_none_is_an_error(server, tmp_path):
    server.content = b"no archive at all"
    with pytest.raises(CorpusError, match="a.tar.gz cannot be unpacked"):
        get(card(server), tmp_path)
    assert not (tmp_path / "fsdd").exists()


def test_an_archive_without_the_folder_is_an_error(server, tmp_path):
    server.content = tar(FILES)
    with pytest.raises(CorpusError, match="a.tar.gz holds no folder LibriSpeech"):
        get(card(server, inside="LibriSpeech"), tmp_path)
    assert not (tmp_path / "fsdd").exists()


def test_what_is_there_is_never_written_over(server, tmp_path):
    server.content = tar(FILES)
    (tmp_path / "fsdd").mkdir()
    with pytest.raises(CorpusError, match="is there already"):
        get(card(server), tmp_path)
    assert server.asked == []


def test_a_disk_that_is_too_small_is_said_before_anything_is_downloaded(server, tmp_path, monkeypatch):
    server.content = tar(FILES)
    monkeypatch.setattr("sercore.data.fetch.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(CorpusError, match="fsdd needs 0 MB more in .*, 0 MB are free: make room"):
        get(card(server), tmp_path)
    assert server.asked == []


def test_parts_come_one_by_one_into_one_folder(server, tmp_path):
    server.content = tar({"LibriSpeech/dev-clean/1.flac": b"1", "LibriSpeech/SPEAKERS.TXT": b"all"})
    parted = card(server, inside="LibriSpeech", part="dev-clean")
    with pytest.raises(CorpusError, match="comes in parts, name one or more with --part: dev-clean"):
        get(parted, tmp_path)
    with pytest.raises(CorpusError, match="has no part train"):
        get(parted, tmp_path, ("train",))
    get(parted, tmp_path, ("dev-clean",))
    server.content = tar({"LibriSpeech/dev-other/2.flac": b"2", "LibriSpeech/SPEAKERS.TXT": b"all"})
    get(card(server, inside="LibriSpeech", part="dev-other"), tmp_path, ("dev-other",))
    assert whole(tmp_path) == {"dev-clean/1.flac": b"1", "dev-other/2.flac": b"2", "SPEAKERS.TXT": b"all"}


def command(*arguments):
    return CliRunner().invoke(app, ["corpora", "fetch", *map(str, arguments)])


def test_the_command_prints_the_steps_where_nothing_may_be_downloaded():
    shown = command("omg_empathy")
    assert shown.exit_code == 0
    assert "By e-mail to the organisers" in shown.stdout
    assert json.loads(command("omg_empathy", "--json").stdout)["fetched"] is False


def test_the_command_downloads_and_says_how_to_check(server, tmp_path, monkeypatch):
    server.content = tar(FILES)
    offered = card(server)
    monkeypatch.setattr("sercore.data.card.load_card", lambda name: offered)
    done = command("fsdd", "--to", tmp_path, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["check"] == f"sercore corpora check fsdd --root {tmp_path / 'fsdd'}"
    assert "licence: CC BY-SA 4.0" in done.stderr


def test_a_wrong_call_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("SERCORE_CORPORA", raising=False)
    for arguments, says in ((["fsd"], "no corpus 'fsd'"), (["mnist"], "name the folder")):
        shown = command(*arguments)
        assert shown.exit_code == 2
        assert says in shown.stderr


def test_downloads_of_the_cards_are_complete():
    for name in card_names():
        for download in load_card(name).downloads:
            assert download.url.startswith(("http://", "https://"))
            assert (download.part in load_card(name).parts) if download.part else True


def test_a_checksum_that_is_none_is_caught(tmp_path):
    path = tmp_path / "card.yml"
    path.write_text(yaml.safe_dump(changed(downloads=[{"url": "http://x/y", "size_bytes": 1, "checksum": "sha256:abc"}])))
    with pytest.raises(CorpusError, match="downloads.0.checksum"):
        read_card(path)
