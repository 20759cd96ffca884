"""`llmroute download`: thin over the reader's download, which has its own tests over HTTP."""

from __future__ import annotations

import hashlib
from pathlib import Path

from llmroute.cli.download_command import _FILES
from llmroute.outcomes.readers.download import DOWNLOADS
from tests.cli.conftest import Run


def test_what_can_be_fetched_is_what_the_reader_knows() -> None:
    assert set(_FILES) == set(DOWNLOADS)


def test_another_name_is_a_usage_error(run: Run) -> None:
    result = run("download", "mmlu.pkl")
    assert result.exit_code == 2
    assert "routerbench_0shot.pkl" in result.stderr


def test_a_file_of_that_name_with_other_content_is_one_clean_message(
    run: Run, tmp_path: Path
) -> None:
    name = "routerbench_0shot.pkl"
    (tmp_path / name).write_bytes(b"not it")
    assert hashlib.sha256(b"not it").hexdigest() != DOWNLOADS[name].sha256
    result = run("download", name, "--out", str(tmp_path))
    assert result.exit_code == 1
    assert name in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / name).read_bytes() == b"not it"
