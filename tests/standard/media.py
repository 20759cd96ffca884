"""The files that LangChain's suites fetch, made here: the smallest of each kind that is valid."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from pathlib import Path


def write_media(folder: Path) -> None:
    """Write one file of each kind the suites ask for, named for its ending."""
    for ending, content in (("png", _png()), ("wav", _wav()), ("pdf", _pdf())):
        (folder / f"media.{ending}").write_bytes(content)


def _png() -> bytes:
    """One red pixel."""

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)  # 1 × 1, 8 bits, RGB
    row = b"\0\xff\0\0"  # no filter, red
    parts = part(b"IHDR", header) + part(b"IDAT", zlib.compress(row)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _wav() -> bytes:
    """A tenth of a second of silence."""
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return written.getvalue()


def _pdf() -> bytes:
    """One empty page, with the table of places that readers look things up by."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>",
    )
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj%bendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(written))
    return written + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end
