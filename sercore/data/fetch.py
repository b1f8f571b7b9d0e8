"""Openly licensed corpora from their source: resumed where a download broke off, checked, unpacked beside, put in place when whole."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import filelock
import pooch

from sercore.data.card import Card, Download
from sercore.errors import CorpusError
from sercore.progress import bar
from sercore.writing import refusals_named

#: Where downloads stay until they are whole, in the folder that the corpus is put into.
STAGING = ".fetch"
_CHUNK = 2**18


def fetch(card: Card, folder: Path, parts: tuple[str, ...] = (), timeout_s: float = 60, attempts: int = 3) -> Path:
    """Download a corpus and put it into `<folder>/<name>`.

    Args:
        card: says what to download, with size and checksum.
        folder: that holds corpora; made where it is not there.
        parts: which of the parts, where the card has several that may be taken alone.
        timeout_s: how long the server may send nothing.
        attempts: how often a download that breaks off is taken up again before that is an error.

    Returns:
        The corpus folder.

    Raises:
        CorpusError: the card has no downloads (says the steps), the part is unknown, the corpus is there already, the file has changed
            upstream, the download broke off (what is there is kept, the next call goes on), the server answers with something else, or
            an archive would write outside its folder.
        StoreError: the folder cannot be written.
    """
    wanted = [download for download in card.downloads if not parts or download.part in parts]
    if not card.downloads:
        raise CorpusError(f"{card.name} cannot be downloaded from here; the steps: {card.access}")
    offered = [download.part for download in card.downloads if download.part]
    if (unknown := sorted(set(parts) - set(offered))) or (offered and not parts):
        which = f"has no part {unknown[0]}" if unknown else "comes in parts"
        raise CorpusError(f"{card.name} {which}, name one or more with --part: {', '.join(offered) or 'it has none'}")
    target, staging = folder / card.name, folder / STAGING / card.name
    for there in [target / part for part in parts] or [target]:
        if there.exists():
            raise CorpusError(f"{there} is there already: `sercore corpora check {card.name} --root {target}` says whether it is whole")
    with refusals_named(staging):
        staging.mkdir(parents=True, exist_ok=True)
        needed = sum(download.size_bytes for download in wanted) - sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
        if (free := shutil.disk_usage(staging).free) < needed:
            raise CorpusError(f"{card.name} needs {needed / 1e6:,.0f} MB more in {folder}, {free / 1e6:,.0f} MB are free: make room there")
        try:
            with filelock.FileLock(staging.with_suffix(".lock"), timeout=0):
                for download in wanted:
                    _unpack(_download(card, download, staging, timeout_s, attempts), staging / "whole", download.inside)
                _put_in_place(staging / "whole", target)
                shutil.rmtree(staging)
        except filelock.Timeout as error:
            raise CorpusError(f"{card.name} is being downloaded to {folder} by another process: wait for it, or stop it") from error
    return target


def _download(card: Card, download: Download, staging: Path, timeout_s: float, attempts: int) -> Path:
    """The file, whole and with the checksum of the card. Two downloads that agree with each other and not with the card: it has changed."""
    pooch.get_logger().setLevel("ERROR")
    name, seen = PurePosixPath(urlsplit(download.url).path).name, ""
    for _ in range(2):
        transfer = _Transfer(card.name, download, staging / f"{name}.part", timeout_s, attempts)
        try:
            return Path(pooch.retrieve(download.url, download.checksum, fname=name, path=staging, downloader=transfer))
        except ValueError as error:  # pooch: the checksum is another
            if transfer.digest == seen:
                raise _changed(card.name, download, f"its checksum is {transfer.digest}") from error
            seen = transfer.digest
    raise CorpusError(f"{card.name}: broken download: {download.url} came twice, each time with another content: run the command again")


class _Transfer:
    """How pooch gets a file: into `<name>.part`, from where it broke off."""

    def __init__(self, corpus: str, download: Download, part: Path, timeout_s: float, attempts: int) -> None:
        self.corpus, self.download, self.part, self.timeout_s, self.attempts = corpus, download, part, timeout_s, attempts
        self.digest = ""

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Write the file. Raises CorpusError where it is not to be had, or only in part."""
        fault: Exception | None = None
        for _ in range(self.attempts):
            try:
                self._go_on(url)
                break
            except HTTPError as error:
                if error.code < 500:
                    raise CorpusError(f"{self.corpus}: {url} answers {error.code} {error.reason}: look for where it went") from error
                fault = error
            except (OSError, http.client.HTTPException) as error:
                fault = error
        else:
            there = self.part.stat().st_size if self.part.exists() else 0
            size = f"{there} of {self.download.size_bytes} bytes are there and kept"
            raise CorpusError(f"{self.corpus}: broken download of {url} ({fault}; {size}): run the command again to go on") from fault
        self.digest = pooch.file_hash(str(self.part), alg=self.download.checksum.partition(":")[0])
        os.replace(self.part, output_file)

    def _go_on(self, url: str) -> None:
        have, size = self.part.stat().st_size if self.part.exists() else 0, self.download.size_bytes
        if have > size:
            self.part.unlink()
            have = 0
        if have == size:
            return
        asked = Request(url, headers={"User-Agent": "sercore", **({"Range": f"bytes={have}-"} if have else {})})
        with urlopen(asked, timeout=self.timeout_s) as answer:
            if answer.headers.get_content_type() == "text/html":
                raise CorpusError(f"{self.corpus}: {url} answers with a web page instead of the file: open it in a browser and see why")
            have = have if answer.status == 206 else 0
            if (length := answer.headers.get("Content-Length")) and have + int(length) != size:
                raise _changed(self.corpus, self.download, f"it has {have + int(length)} bytes")
            with open(self.part, "ab" if have else "wb") as file, bar(total=size, label=self.part.stem, unit="B") as shown:
                shown.update(have)
                while chunk := answer.read1(_CHUNK):  # what is there: a stall loses nothing
                    with refusals_named(self.part):
                        file.write(chunk)
                    shown.update(len(chunk))
        if self.part.stat().st_size < size:
            raise ConnectionError("the server closed the connection")


def _changed(corpus: str, download: Download, now: str) -> CorpusError:
    was = f"the card says {download.size_bytes} bytes, {download.checksum}"
    return CorpusError(f"{corpus}: {download.url} has changed upstream: {now}, {was}: look for a newer card, or for that version elsewhere")


def _unpack(file: Path, to: Path, inside: str) -> None:
    """An archive's content (below `inside`) into a folder; a file that is no archive is put there as it is.

    Raises:
        CorpusError: a member would be written outside, or the archive is broken.
    """
    to.mkdir(parents=True, exist_ok=True)
    if not file.name.endswith((".tar.gz", ".tgz", ".tar", ".zip")):
        os.replace(file, to / file.name)
        return
    unpacked = file.with_name(f"{file.name}.unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    if not (unpacked / member.replace("\\", "/")).resolve().is_relative_to(unpacked.resolve()):
                        raise CorpusError(f"{file.name}: {member!r} would be written outside its folder: do not use this archive")
                archive.extractall(unpacked)
        else:
            with tarfile.open(file) as archive:
                archive.extractall(unpacked, filter="data")
    except tarfile.FilterError as error:
        raise CorpusError(f"{file.name}: {error}: do not use this archive") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise CorpusError(f"{file.name} cannot be unpacked ({error}): remove it and run the command again") from error
    if not (unpacked / inside).is_dir():
        raise CorpusError(f"{file.name} holds no folder {inside}: it is another archive than the card says")
    _put_in_place(unpacked / inside, to)
    shutil.rmtree(unpacked, ignore_errors=True)
    file.unlink()


def _put_in_place(source: Path, target: Path) -> None:
    """Move a folder, or what is in it where the target is there already."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        return
    for child in sorted(source.iterdir()):
        if child.is_dir() and (target / child.name).is_dir():
            raise CorpusError(f"{target / child.name} is there already: move it away first")
        os.replace(child, target / child.name)
