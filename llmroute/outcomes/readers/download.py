"""Fetches published data, when it is asked to and never otherwise.

A download goes to a file of its own beside the target, and takes the target's name once its SHA-256
is right: there is never a target that is cut short. A download that breaks off goes on where it
stopped when it is asked for again.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from llmroute._version import __version__
from llmroute.errors import ConfigurationError
from llmroute.files import write_atomically

#: Bytes that have come, and bytes in all or None where the server does not say.
Progress = Callable[[int, int | None], None]

_HUB = (
    "https://huggingface.co/datasets/withmartian/routerbench/resolve/"
    "784021482c3f320c6619ed4b3bb3b41a21424fcb/"
)
_CHUNK = 1 << 20
#: Seconds without a word from the server after which a download is given up.
_TIMEOUT = 60.0


class Download(NamedTuple):
    """A published file: where it is, and its SHA-256, or None where none is published."""

    url: str
    sha256: str | None = None


#: What can be fetched: RouterBench (2403.12031), at the last revision of its dataset. Its card
#: states no licence: use the data for evaluation. Of the raw table no SHA-256 is published; it
#: holds the 5-shot table's answers once more.
DOWNLOADS: dict[str, Download] = {
    "routerbench_0shot.pkl": Download(
        f"{_HUB}routerbench_0shot.pkl",
        "ba4f77f19517610a707c374e99322d7750c30fc4ae7ff5527888595a1e65d36d",
    ),
    "routerbench_5shot.pkl": Download(
        f"{_HUB}routerbench_5shot.pkl",
        "fbd7d3d16fba2759a18fa0ad44409d3e0e92ba80d03d90827eed1a6d084c9ffe",
    ),
    "routerbench_raw.pkl": Download(f"{_HUB}routerbench_raw.pkl"),
}


def download(name: str, folder: str | Path, progress: Progress | None = None) -> Path:
    """Fetches one of `DOWNLOADS` into a folder, unless it is there already; the file.

    `progress` is called about once a megabyte. ConfigurationError for an unknown name, no
    connection, or a server that refuses, sends less than it said, or something else than was
    published. Where no SHA-256 is published, a UserWarning: that of the first download is kept
    beside the file, and later ones are compared with it.
    """
    if name not in DOWNLOADS:
        raise ConfigurationError(
            f"{name!r} is not among what can be fetched: {', '.join(DOWNLOADS)}."
        )
    return fetch(DOWNLOADS[name], Path(folder) / name, progress)


def fetch(source: Download, target: Path, progress: Progress | None = None) -> Path:
    """Fetches any published file to a target, as `download` does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        _check(target, target, source)
        return target
    part = target.with_name(f"{target.name}.part")
    by_hand = f"Or fetch it in another way and put it at {target}."
    try:
        _receive(source.url, part, progress)
    except urllib.error.HTTPError as fault:
        raise ConfigurationError(
            f"{source.url} answered {fault.code} {fault.reason}. {by_hand}"
        ) from None
    except (OSError, HTTPException) as fault:
        raise ConfigurationError(
            f"{source.url} cannot be fetched: {fault or type(fault).__name__}. Check the network "
            f"and ask again; what has come is kept. {by_hand}"
        ) from None
    _check(part, target, source)
    os.replace(part, target)
    return target


def _receive(url: str, part: Path, progress: Progress | None) -> None:
    """Appends to the part what is still missing of a file."""
    size = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": f"llmroute/{__version__}", "Accept-Encoding": "identity"}
    if size:
        headers["Range"] = f"bytes={size}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as refused:
        if refused.code != 416 or not size:
            raise
        # Nothing is left to send: the part is whole, or it is of something longer.
        if not refused.headers.get("Content-Range", "").endswith(f"/{size}"):
            part.unlink()
            _receive(url, part, progress)
        return
    with response:
        # A server may send the whole file instead of what follows the part.
        content_range = response.headers.get("Content-Range", "")
        if response.status != 206 or not content_range.startswith(f"bytes {size}-"):
            size = 0
        length = response.headers.get("Content-Length", "")
        whole = size + int(length) if length.isdigit() else None
        with part.open("ab" if size else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                size += len(chunk)
                if progress is not None:
                    progress(size, whole)
    if whole is not None and size < whole:
        raise OSError(f"the server broke off after {size:,} of {whole:,} bytes")


def _check(file: Path, target: Path, source: Download) -> None:
    """Compares a file's SHA-256, or keeps it where there is none to compare it with."""
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    note = target.with_name(f"{target.name}.sha256")
    kept = re.match(r"[0-9a-f]{64}", note.read_text("utf-8")) if note.is_file() else None
    expected = source.sha256 or (kept and kept[0])
    if expected is None:
        write_atomically(note, f"{sha256}  {target.name}\n")
        warnings.warn(
            f"no SHA-256 is published for {source.url}. That of this download, {sha256}, is kept "
            f"in {note}; later ones are compared with it.",
            stacklevel=4,
        )
    elif sha256 != expected:
        mend = "Delete it and ask again." if file == target else "It was deleted; ask again."
        if file != target:
            file.unlink()
        raise ConfigurationError(
            f"{file.name} from {source.url} has the SHA-256 {sha256}; {expected} was expected. "
            f"{mend}"
        )
