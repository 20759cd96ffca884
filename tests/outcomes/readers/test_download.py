"""Downloads over real HTTP from this machine: whole, cut short, gone on with, and wrong."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmroute.errors import ConfigurationError
from llmroute.outcomes.readers.download import DOWNLOADS, Download, download, fetch

CONTENT = bytes(range(256)) * 10_000  # more than two of the pieces it comes in
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    ranges: bool = True
    cut_after: int | None = None
    status: int = 200
    length: bool = True
    asked: list[str | None] = field(default_factory=list)
    url: str = ""

    def published(self, sha256: str | None = SHA256) -> Download:
        return Download(self.url, sha256)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            start = int(asked[6:-1]) if asked and state.ranges else 0
            if state.status != 200:
                self.send_error(state.status)
                return
            if start >= len(state.content) and asked and state.ranges:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.end_headers()
                return
            rest = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                end, size = len(state.content) - 1, len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
            if state.length:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: state.cut_after])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/table.pkl"
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "table.pkl"


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_is_fetched_into_a_folder_that_is_made(server: Server, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    assert fetch(server.published(), target, lambda *at: told.append(at)) == target
    assert target.read_bytes() == CONTENT
    assert names(target) == ["table.pkl"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 2
    assert told == sorted(told)


def test_what_is_there_is_not_fetched_again(server: Server, target: Path) -> None:
    fetch(server.published(), target)
    fetch(server.published(), target)
    assert len(server.asked) == 1


def test_what_is_there_but_damaged_is_named_and_left_alone(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="Delete it and ask again"):
        fetch(server.published(), target)
    assert target.read_bytes() == b"mine"
    assert server.asked == []


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(ConfigurationError, match=r"broke off after 1,000,000 of 2,560,000 bytes"):
        fetch(server.published(), target)
    assert names(target) == ["table.pkl.part"]
    told: list[int] = []
    server.cut_after = None
    fetch(server.published(), target, lambda done, _: told.append(done))
    assert server.asked == [None, "bytes=1000000-"]
    assert min(told) > 1_000_000
    assert target.read_bytes() == CONTENT
    assert names(target) == ["table.pkl"]


def test_a_server_without_ranges_starts_again(server: Server, target: Path) -> None:
    server.cut_after, server.ranges = 1_000_000, False
    with pytest.raises(ConfigurationError, match="broke off"):
        fetch(server.published(), target)
    server.cut_after = None
    fetch(server.published(), target)
    assert server.asked == [None, "bytes=1000000-"]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_whole_needs_no_byte_more(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.with_name("table.pkl.part").write_bytes(CONTENT)
    fetch(server.published(), target)
    assert server.asked == [f"bytes={len(CONTENT)}-"]
    assert names(target) == ["table.pkl"]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.with_name("table.pkl.part").write_bytes(CONTENT + b"more")
    fetch(server.published(), target)
    assert len(server.asked) == 2
    assert target.read_bytes() == CONTENT


def test_a_file_of_unknown_length_is_known_by_its_sum(server: Server, target: Path) -> None:
    server.length, server.cut_after = False, 1_000_000
    with pytest.raises(ConfigurationError, match="It was deleted; ask again"):
        fetch(server.published(), target)
    assert names(target) == []


def test_wrong_bytes_never_get_the_files_name(server: Server, target: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(ConfigurationError, match=f"has the SHA-256 .*; {SHA256} was expected"):
        fetch(server.published(), target)
    assert names(target) == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_says_what_to_do_instead(server: Server, target: Path, status: int) -> None:
    server.status = status
    with pytest.raises(ConfigurationError, match=rf"answered {status} .* put it at .*table\.pkl"):
        fetch(server.published(), target)
    assert names(target) == []


def test_no_connection_is_no_traceback(target: Path) -> None:
    with socket.socket() as taken:  # a port that nobody listens on
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/table.pkl"
        with pytest.raises(ConfigurationError, match=r"cannot be fetched: .*Check the network"):
            fetch(Download(url), target)


class TestWithoutAPublishedSum:
    def test_the_first_download_is_what_later_ones_are_compared_with(
        self, server: Server, target: Path
    ) -> None:
        with pytest.warns(UserWarning, match=f"no SHA-256 is published .* {SHA256}, is kept in"):
            fetch(server.published(None), target)
        assert names(target) == ["table.pkl", "table.pkl.sha256"]
        assert target.with_name("table.pkl.sha256").read_text() == f"{SHA256}  table.pkl\n"
        target.unlink()
        server.content = b"something else"
        with pytest.raises(ConfigurationError, match=f"{SHA256} was expected"):
            fetch(server.published(None), target)

    def test_what_was_there_before_is_kept_in_mind(self, server: Server, target: Path) -> None:
        target.parent.mkdir(parents=True)
        target.write_bytes(CONTENT)
        with pytest.warns(UserWarning, match="no SHA-256 is published"):
            fetch(server.published(None), target)
        fetch(server.published(None), target)  # no warning now: it is compared
        assert server.asked == []


def test_only_what_is_listed_is_fetched_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'other' is not among .* routerbench_0shot\.pkl"):
        download("other", tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_what_is_listed_is_at_a_fixed_revision() -> None:
    for name, source in DOWNLOADS.items():
        assert source.url.startswith("https://huggingface.co/datasets/withmartian/routerbench/")
        assert "/main/" not in source.url
        assert source.url.endswith(name)
        assert source.sha256 is None or len(source.sha256) == 64
