"""Servers that do not answer, end in the middle, lead elsewhere, or give another file."""

import gzip
import hashlib
import random
import time

import pytest
import requests
import snakemake_storage_plugin_http
from servers import serve, serve_archives
from workspace import configure, finish, half_written, snakemake

from maskmake.data import transfer
from maskmake.data.download import download, move_files
from maskmake.data.transfer import MOST_REDIRECTS, WrongContent, fetch, limited_session, reason
from maskmake.runtime.errors import UserError
from maskmake.snakefile.http_storage import StorageObject

PIECE = transfer.CHUNK_BYTES
CONTENT = bytes(range(251)) * (5 * PIECE // 251)  # five pieces, the last one shorter


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(transfer, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TIMEOUT", (0.5, 0.5))


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served/a.bin").write_bytes(CONTENT)
    with serve(tmp_path / "served") as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server


def get(server, path, check=lambda _: None, **options):
    with limited_session() as session:
        fetch(session, f"{server.url}/a.bin", path, check, print, **options)
    return path.read_bytes()


# --- going on where the last attempt ended --------------------------------------------------------


def test_a_file_is_fetched_from_where_the_last_attempt_ended(server, tmp_path):
    server.behaviour, server.cut_after = "cut", 2 * PIECE
    assert get(server, tmp_path / "a") == CONTENT
    assert server.starts == [0, 2 * PIECE, 4 * PIECE]


def test_what_has_arrived_is_kept_for_the_next_call(server, tmp_path):
    server.behaviour, server.cut_after = "cut", PIECE
    with pytest.raises(UserError, match=r"/a\.bin: no whole answer"):
        get(server, tmp_path / "a", retries=1)
    assert (tmp_path / "a").read_bytes() == CONTENT[: 2 * PIECE]
    server.behaviour = ""
    assert get(server, tmp_path / "a") == CONTENT
    assert server.starts == [0, PIECE, 2 * PIECE]


def test_a_server_without_ranges_sends_all(server, tmp_path):
    (tmp_path / "a").write_bytes(CONTENT[:100])
    server.with_ranges = False
    assert get(server, tmp_path / "a") == CONTENT


def test_a_file_that_has_changed_is_fetched_whole(server, tmp_path):
    (tmp_path / "a").write_bytes(b"of another version")
    assert get(server, tmp_path / "a", validator='"another"') == CONTENT


def test_a_beginning_of_another_file_is_fetched_again(server, tmp_path):
    def check(path):
        if path.read_bytes() != CONTENT:
            raise WrongContent("another file")

    (tmp_path / "a").write_bytes(b"another file")
    assert get(server, tmp_path / "a", check) == CONTENT
    (tmp_path / "a").write_bytes(bytes(2 * len(CONTENT)))  # longer than the file
    assert get(server, tmp_path / "a", check) == CONTENT
    assert get(server, tmp_path / "a", check) == CONTENT  # and whole already


def test_a_part_that_is_shorter_than_the_rest_is_not_the_whole_file(server, tmp_path):
    """No check knows the file, so that a tar without its last images would be taken."""
    (tmp_path / "a").write_bytes(CONTENT[:PIECE])
    server.behaviour, server.cut_after = "short", PIECE
    with pytest.raises(UserError, match=rf": no whole answer \({3 * PIECE} of {len(CONTENT)} by"):
        get(server, tmp_path / "a", retries=1)
    assert get(server, tmp_path / "a", retries=1) == CONTENT
    assert server.starts == [i * PIECE for i in (1, 2, 3, 4)]


@pytest.mark.parametrize("behaviour", ["", "cut"])
def test_a_file_that_is_compressed_is_stored_as_it_is(behaviour, server, tmp_path):
    """Some servers say of a tar.gz that it is a tar in the encoding gzip, which has other bytes."""
    packed = gzip.compress(CONTENT + random.Random(1).randbytes(3 * PIECE))
    (tmp_path / "served/a.bin").write_bytes(packed)
    server.behaviour, server.cut_after, server.encoding = behaviour, 2 * PIECE, "x-gzip"
    assert get(server, tmp_path / "a") == packed


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "sentence", "asked"),
    [
        ("stall", "no answer within 0.5 s", 2),
        ("file:///etc/passwd", "it leads to an address that is neither http nor https", 1),
        ("202", "HTTP status 202 (Accepted)", 2),
        ("204", "HTTP status 204 (No Content)", 1),
        ("304", "HTTP status 304 (Not Modified)", 1),
        ("{url}/a.bin", f"more than {MOST_REDIRECTS} redirects", MOST_REDIRECTS + 1),
    ],
)
def test_a_server_that_gives_no_file_is_named(behaviour, sentence, asked, server, tmp_path):
    server.behaviour = behaviour.format(url=server.url)
    start = time.monotonic()
    with pytest.raises(UserError) as error:
        get(server, tmp_path / "a", retries=1)
    assert str(error.value) == f"{server.url}/a.bin: {sentence}"
    assert len(server.methods) == asked
    assert time.monotonic() - start < 5


def test_the_limit_that_passed_is_named(monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (1, 2))
    assert reason(requests.ConnectTimeout()) == "no answer within 1 s"
    assert reason(requests.ReadTimeout()) == "no answer within 2 s"


def stored(server, tmp_path, **settings):
    """The file as Snakemake's plugin for HTTP knows it."""
    provider = snakemake_storage_plugin_http.StorageProvider(
        local_prefix=tmp_path / "local",
        logger=None,
        settings=snakemake_storage_plugin_http.StorageProviderSettings(**settings),
    )
    return StorageObject(f"{server.url}/a.bin", keep_local=False, retrieve=True, provider=provider)


def test_a_storage_is_asked_once(server, tmp_path):
    file = stored(server, tmp_path)
    assert (file.exists(), file.size(), file.mtime()) == (True, len(CONTENT), 0)
    assert server.methods == ["HEAD"]


@pytest.mark.parametrize("refused", [True, False])
def test_a_storage_without_head_is_asked_otherwise(refused, server, tmp_path):
    """An address that is signed for GET alone answers nothing else."""
    server.without_head = refused
    file = stored(server, tmp_path, supports_head=refused)
    assert file.exists() and file.size() == len(CONTENT)
    assert server.methods == (["HEAD", "GET"] if refused else ["GET"])


def test_a_file_of_a_storage_goes_on_in_the_next_run(server, tmp_path):
    server.behaviour, server.cut_after = "cut", PIECE
    file = stored(server, tmp_path)
    file.local_path().parent.mkdir(parents=True)
    with pytest.raises(Exception, match=r"/a\.bin: no whole answer .* run again later"):
        file.retrieve_object()
    assert not file.local_path().exists()
    server.behaviour = ""
    stored(server, tmp_path).retrieve_object()
    assert file.local_path().read_bytes() == CONTENT
    assert server.starts == [i * PIECE for i in range(5)]
    assert [path.name for path in file.local_path().parent.iterdir()] == ["a.bin"]


def test_a_storage_that_refuses_is_not_called_empty(server, tmp_path):
    server.authorization = "Basic of-someone-else"
    with pytest.raises(Exception, match=r"^HTTP status 401 \(Unauthorized\)"):
        stored(server, tmp_path).exists()
    server.authorization = None
    (tmp_path / "served/a.bin").unlink()
    assert not stored(server, tmp_path).exists()


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_named_at_the_start(dataset, tmp_path):
    with serve_archives(dataset, tmp_path) as server:
        server.behaviour = "stall"
        url = f"http://127.0.0.1:{server.server_port}"
        storage = {kind: f"{url}/{kind}.zip" for kind in ("images", "labels")}
        configure(tmp_path, dataset={"name": "tiny", "storage": storage})
        code, output = snakemake(tmp_path, "validate")
    assert code != 0
    assert f"{url}/images.zip: no answer within 20 s; expected" in output


# --- a data set that is downloaded ----------------------------------------------------------------


def test_files_of_a_failed_download_are_kept_and_moved_when_all_are_there(server, tmp_path):
    (tmp_path / "served/image").mkdir()
    for name in ("0.png", "1.png"):
        (tmp_path / "served/image" / name).write_bytes(name.encode())
    sums = {f"image/{i}.png": hashlib.sha256(f"{i}.png".encode()).hexdigest() for i in range(3)}
    with pytest.raises(UserError, match=r"image/2\.png: HTTP status 404"):
        download(server.url, sums, tmp_path / "fetched")
    (tmp_path / "served/image/2.png").write_bytes(b"2.png")
    server.fetched.clear()
    download(server.url, sums, tmp_path / "fetched")
    assert server.fetched == ["/image/2.png"]
    move_files(sums, tmp_path / "fetched", tmp_path / "source")
    assert sorted(path.name for path in (tmp_path / "source/image").iterdir()) == [
        "0.png", "1.png", "2.png"
    ]  # fmt: skip
    assert not (tmp_path / "fetched").exists()


def test_a_key_in_the_address_of_a_folder_is_sent_with_each_file(server, tmp_path):
    asked = []
    server.RequestHandlerClass.keywords["directory"] = tmp_path / "served"
    (tmp_path / "served/image").mkdir()
    (tmp_path / "served/image/0.png").write_bytes(b"0")
    handler = server.RequestHandlerClass.func
    original = handler._answer
    handler._answer = lambda self: (asked.append(self.path), original(self))
    try:
        sums = {"image/0.png": hashlib.sha256(b"0").hexdigest()}
        download(f"{server.url}/?sig=1", sums, tmp_path / "fetched")
    finally:
        handler._answer = original
    assert asked == ["/image/0.png?sig=1"]


def test_a_workflow_fetches_again_only_what_it_does_not_have(dataset, tmp_path):
    served = tmp_path / "served"
    for kind, folder in (("image", "images"), ("label", "labels")):
        (served / kind).mkdir(parents=True)
        for path in (dataset / folder).iterdir():
            (served / kind / path.name).write_bytes(path.read_bytes())
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.parent.name}/{path.name}\n"
        for path in sorted(served.rglob("*.png"))
    ]
    work = tmp_path / "work"
    work.mkdir()
    (work / "sums").write_text("".join(sums))
    wrong = served / "label/07.png"
    right = wrong.read_bytes()
    wrong.unlink()
    with serve(served) as server:
        url = f"http://alice:S3CRETpw@127.0.0.1:{server.server_port}?sig=S1GNATURE"
        source = {"url": url, "checksums": "sums"}
        configure(work, dataset={"name": "tiny", "download": source})
        code, output = snakemake(work, "validate")
        assert code != 0 and "label/07.png: HTTP status 404" in output
        server.fetched.clear()
        wrong.write_bytes(right)
        output += finish(work, "validate")
        assert server.fetched == ["/label/07.png"]
    assert "S3CRETpw" not in output and "S1GNATURE" not in output
    assert half_written(work) == [] and not (work / "results/tiny/.download").exists()
