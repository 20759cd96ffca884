"""Writing files and folders atomically, and figures in types that JSON has."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ArtifactError


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write a file atomically: a draft beside it takes its place once it is on the disk.

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


def write_folder(path: str | Path, content: Mapping[str, bytes], mark: str) -> Path:
    """Write a folder of files atomically; a folder of the same kind is replaced.

    Args:
        path: The folder. Folders above it are made.
        content: Content of its files by name.
        mark: Name of the file by which a folder of this kind is known.

    Returns:
        The folder's full path.

    Raises:
        ArtifactError: It cannot be written, or holds something else. An older folder is then as it
            was.
    """
    target = Path(path).resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            for name, raw in content.items():
                (draft / name).write_bytes(raw)
            draft.chmod(0o755)  # mkdtemp's 0700 would hide it from other users
            _swap(draft, target, mark)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as fault:
        raise ArtifactError(f"cannot write the router to {target}: {fault}.") from fault
    return target


def _swap(draft: Path, target: Path, mark: str) -> None:
    """Puts the new folder in the old one's place; a folder that is not empty cannot be replaced."""
    if not target.exists():
        os.replace(draft, target)
        return
    if not (target / mark).is_file() and any(target.iterdir()):
        raise ArtifactError(
            f"{target} is a folder of something else; a router would replace it. Give another path."
        )
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    os.replace(target, old / "router")
    try:
        os.replace(draft, target)
    except OSError:
        os.replace(old / "router", target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


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
