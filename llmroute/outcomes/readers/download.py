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
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from llmroute._version import __version__
from llmroute.errors import ConfigurationError

#: Bytes that have come, and bytes in all or None where the server does not say.
Progress = Callable[[int, int | None], None]

_HUB = (
    "https://huggingface.co/datasets/withmartian/routerbench/resolve/"
    "784021482c3f320c6619ed4b3bb3b41a21424fcb/"
)
_CHUNK = 1 << 20
#: Seconds without a word from the server after which a download is given up.
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Download:
    """A published file.

    Attributes:
        url: Where it is.
        sha256: Its SHA-256 in hexadecimal, or None where none is published.
    """

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
    """Fetches a published file into a folder, unless it is there already.

    Args:
        name: One of `DOWNLOADS`.
        folder: Where it goes; it is made where it is missing.
        progress: Told how far it is, about once a megabyte.

    Returns:
        The file.

    Raises:
        ConfigurationError: An unknown name; no connection; the server refuses, sends less than it
            said, or sends something else than was published.

    Warns:
        UserWarning: No SHA-256 is published: that of the first download is kept beside the file,
            and later ones are compared with it.
    """
    if name not in DOWNLOADS:
        raise ConfigurationError(
            f"{name!r} is not among what can be fetched: {', '.join(DOWNLOADS)}."
        )
    return fetch(DOWNLOADS[name], Path(folder) / name, progress)


def fetch(source: Download, target: Path, progress: Progress | None = None) -> Path:
    """Fetches one file, unless it is there already.

    Args:
        source: What to fetch.
        target: The file.
        progress: Told how far it is, about once a megabyte.

    Returns:
        The file.

    Raises:
        ConfigurationError: As for `download`.

    Warns:
        UserWarning: As for `download`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    expected = source.sha256 or _kept(target)
    if target.is_file():
        _check(target, target, expected, source.url)
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        _receive(source.url, part, progress)
    except urllib.error.HTTPError as fault:
        raise ConfigurationError(
            f"{source.url} answered {fault.code} {fault.reason}. {_by_hand(target)}"
        ) from None
    except (OSError, HTTPException) as fault:
        raise ConfigurationError(
            f"{source.url} cannot be fetched: {fault or type(fault).__name__}. Check the network "
            f"and ask again; what has come is kept. {_by_hand(target)}"
        ) from None
    _check(part, target, expected, source.url)
    os.replace(part, target)
    return target


def _by_hand(target: Path) -> str:
    return f"Or fetch it in another way and put it at {target}."


def _receive(url: str, part: Path, progress: Progress | None) -> None:
    """Appends to the part what is still missing of a file."""
    have = part.stat().st_size if part.is_file() else 0
    try:
        response = _open(url, have)
    except urllib.error.HTTPError as refused:
        if refused.code != 416 or not have:
            raise
        # Nothing is left to send: the part is whole, or it is of something longer.
        if _total(refused.headers.get("Content-Range")) == have:
            return
        part.unlink()
        have, response = 0, _open(url, 0)
    with response:
        if have and not _goes_on_at(response, have):
            have = 0
        length = response.headers.get("Content-Length")
        whole = have + int(length) if length and length.isdigit() else None
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, whole)
    if whole is not None and have < whole:
        raise OSError(f"the server broke off after {have:,} of {whole:,} bytes")


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": f"llmroute/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
    return response


def _goes_on_at(response: HTTPResponse, start: int) -> bool:
    """Whether an answer goes on at a byte; a server may send the whole file instead."""
    sent = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return response.status == 206 and sent is not None and int(sent[1]) == start


def _total(content_range: str | None) -> int | None:
    found = re.match(r"bytes .*/(\d+)$", content_range or "")
    return int(found[1]) if found else None


def _check(file: Path, target: Path, expected: str | None, url: str) -> None:
    """Compares a file's SHA-256, or keeps it where there is none to compare it with."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    if expected is None:
        note = _note(target)
        draft = note.with_name(f"{note.name}.part")
        draft.write_text(f"{found}  {target.name}\n", encoding="utf-8")
        os.replace(draft, note)
        warnings.warn(
            f"no SHA-256 is published for {url}. That of this download, {found}, is kept in "
            f"{note}; later ones are compared with it.",
            stacklevel=4,
        )
    elif found != expected:
        if file != target:
            file.unlink()
        raise ConfigurationError(
            f"{file.name} from {url} has the SHA-256 {found}; {expected} was expected. "
            + ("Delete it and ask again." if file == target else "It was deleted; ask again.")
        )


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _kept(target: Path) -> str | None:
    """The SHA-256 of an earlier download."""
    note = _note(target)
    found = re.match(r"[0-9a-f]{64}", note.read_text("utf-8")) if note.is_file() else None
    return found[0] if found else None
