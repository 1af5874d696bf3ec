"""Downloading, against a real server on this machine that can be made to misbehave."""

import hashlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from maskmake.data import transfer
from maskmake.data.download import download
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256
from maskmake.snakefile.locations import read_checksums

FILES = {
    "image/0.png": b"first image",
    "image/1.png": b"second image" * 1000,
    "label/0.png": b"first label",
    "label/1 a#.png": b"a name that needs quoting in an address",
}
CHECKSUMS = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
ISBI_CHECKSUMS = Path(__file__).parents[3] / "config/isbi2012.sha256"
ISBI_DATA = Path(__file__).parents[4] / "shared/data/isbi2012"


class Server(ThreadingHTTPServer):
    """Serves ``FILES`` below /data/.

    ``faults`` holds, by name, what is answered first: a status, "truncated" or other bytes.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.faults: dict[str, list[int | str | bytes]] = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = unquote(self.path).removeprefix("/data/")
        self.server.requests.append(name)
        faults = self.server.faults.get(name)
        answer = faults.pop(0) if faults else FILES.get(name, 404)
        if isinstance(answer, int):
            self.send_error(answer)
            return
        body = FILES[name] if answer == "truncated" else answer
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if answer == "truncated":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(transfer, "FIRST_PAUSE", 0.01)


def files_below(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_file_arrives(server, tmp_path):
    download(server.url + "/", CHECKSUMS, tmp_path / "new" / "folder")
    assert files_below(tmp_path / "new" / "folder") == FILES
    assert sorted(server.requests) == sorted(FILES)


def test_second_call_fetches_nothing(server, tmp_path):
    download(server.url, CHECKSUMS, tmp_path)
    server.requests.clear()
    download(server.url, CHECKSUMS, tmp_path)
    assert server.requests == []


def test_only_missing_and_wrong_files_are_fetched(server, tmp_path):
    download(server.url, CHECKSUMS, tmp_path)
    server.requests.clear()
    (tmp_path / "image/0.png").unlink()
    (tmp_path / "label/0.png").write_bytes(b"damaged")
    download(server.url, CHECKSUMS, tmp_path)
    assert server.requests == ["image/0.png", "label/0.png"]
    assert files_below(tmp_path) == FILES


@pytest.mark.parametrize(
    "faults",
    [[503, 503], [429], ["truncated"], [b"wrong bytes", b"wrong again"], [500, "truncated", b"x"]],
    ids=str,
)
def test_passing_faults_are_overcome(server, tmp_path, faults):
    server.faults["image/1.png"] = list(faults)
    download(server.url, CHECKSUMS, tmp_path)
    assert files_below(tmp_path) == FILES
    assert server.requests.count("image/1.png") == len(faults) + 1


def test_lasting_server_fault_is_an_error(server, tmp_path):
    server.faults["image/0.png"] = [503] * 3
    address = re.escape(f"{server.url}/image/0.png")
    with pytest.raises(UserError, match=rf"^{address}: HTTP status 503 .*dataset\.images"):
        download(server.url, CHECKSUMS, tmp_path, retries=2)
    assert files_below(tmp_path) == {}
    assert server.requests == ["image/0.png"] * 3


def test_wrong_checksum_is_an_error_and_leaves_no_file(server, tmp_path):
    (tmp_path / "label").mkdir()
    (tmp_path / "label/0.png").write_bytes(b"damaged")
    expected = "0" * 64
    with pytest.raises(UserError) as error:
        download(server.url, {"label/0.png": expected}, tmp_path, retries=1)
    for part in (f"{server.url}/label/0.png", CHECKSUMS["label/0.png"], expected):
        assert part in str(error.value)
    assert files_below(tmp_path) == {}
    assert len(server.requests) == 2


def test_missing_file_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(UserError, match=r"image/absent\.png: HTTP status 404 \(Not Found\)"):
        download(server.url, {"image/absent.png": "0" * 64}, tmp_path)
    assert len(server.requests) == 1
    assert files_below(tmp_path) == {}


def test_lasting_truncation_is_an_error_and_leaves_a_beginning_of_another_name(server, tmp_path):
    server.faults["image/1.png"] = ["truncated"] * 2
    with pytest.raises(UserError, match=r"image/1\.png: no whole answer"):
        download(server.url, CHECKSUMS, tmp_path, retries=1)
    found = files_below(tmp_path)
    assert found.pop("image/0.png") == FILES["image/0.png"]
    assert found.keys() == {"image/.partial-1.png"}


def test_no_server_is_an_error(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"^{url}/image/0\.png: .*[Rr]efused"):
            download(url, CHECKSUMS, tmp_path, retries=1)
    assert files_below(tmp_path) == {}


def test_read_checksums(tmp_path):
    path = tmp_path / "checksums"
    path.write_bytes(f"{'A' * 64}  image/a b.png\r\n\n{'1' * 64} *label/a b.png\n".encode())
    assert list(read_checksums(path).items()) == [
        ("image/a b.png", "a" * 64),
        ("label/a b.png", "1" * 64),
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"{'0' * 63}  image/1.png",
        f"{'g' * 64}  image/1.png",
        f"{'0' * 64} image/1.png",
        f"{'0' * 64}  1.png",
        f"{'0' * 64}  mask/1.png",
        f"{'0' * 64}  image/",
        f"{'0' * 64}  image/..",
        f"{'0' * 64}  image/../../1.png",
        f"{'0' * 64}  image/0.png",
        f"{'0' * 64}  image/{{1}}.png",
        "image/1.png",
    ],
)
def test_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "checksums"
    path.write_text(f"{'0' * 64}  image/0.png\n{line}\n")
    with pytest.raises(UserError, match=rf"^{re.escape(str(path))}, line 2: "):
        read_checksums(path)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\x00"])
def test_unusable_checksum_file_is_an_error(tmp_path, content):
    path = tmp_path / "checksums"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: "):
        read_checksums(path)


@pytest.mark.parametrize(("kind", "missing"), [("image", "label"), ("label", "image")])
def test_checksums_of_one_kind_alone_are_an_error(kind, missing, tmp_path):
    path = tmp_path / "checksums"
    path.write_text(f"{'0' * 64}  {kind}/0.png\n")
    with pytest.raises(UserError, match=rf"checksums: no line of the folder {missing}; expected"):
        read_checksums(path)


def test_isbi2012_checksums_name_every_section():
    expected = [f"{kind}/{i}.png" for kind in ("image", "label") for i in range(30)]
    assert list(read_checksums(ISBI_CHECKSUMS)) == expected


def test_isbi2012_checksums_are_those_of_the_data():
    if not ISBI_DATA.is_dir():
        pytest.skip("the ISBI-2012 data are not on this machine")
    for name, checksum in read_checksums(ISBI_CHECKSUMS).items():
        assert sha256(ISBI_DATA / name) == checksum
