"""Writing a report's files: whole or not at all, and in types that JSON has."""

from __future__ import annotations

import dataclasses
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a draft beside it takes its place once it is on the disk.

    Args:
        path: The file. Folders above it are made; an older file is replaced.
        content: Its bytes, or its text, which becomes UTF-8.

    Raises:
        OSError: It cannot be written. An older file is then as it was.
    """
    target = Path(path)
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a file can only take another's place within one file system.
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with draft.open("xb") as opened:
            opened.write(raw)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def plain(value: Any) -> Any:
    """A figure, array, mapping or dataclass as plain JSON types.

    A number that JSON has not, NaN or infinite, becomes None.

    Args:
        value: What to turn into dicts, lists, texts and numbers.

    Raises:
        TypeError: A type that has no plain counterpart.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"a report holds a {type(value).__name__}, which has no place in JSON")
