"""A data set that is fetched before it is validated."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from workspace import configure, digests, fatal, finish, half_written, snakemake


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(dataset, tmp_path):
    """A server on this machine that has the data set in the folders image and label."""
    shutil.copytree(dataset / "images", tmp_path / "served/image")
    shutil.copytree(dataset / "labels", tmp_path / "served/label")
    handler = partial(Handler, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def work(server, tmp_path):
    """A folder whose configuration names the server and the checksums of its files."""
    work = tmp_path / "work"
    work.mkdir()
    checksums = digests(tmp_path / "served", "*.png")
    lines = [f"{checksum}  {name}\n" for name, checksum in checksums.items()]
    (work / "files.sha256").write_text("".join(lines))
    download = {
        "url": f"http://127.0.0.1:{server.server_port}",
        "checksums": "files.sha256",
    }
    dataset = {"name": "tiny", "images": "images", "labels": "labels", "download": download}
    configure(work, dataset=dataset)
    return work


def test_files_are_fetched_once_and_again_when_their_checksums_change(work, server, tmp_path):
    finish(work, "validate")
    assert len(server.requests) == 16
    fetched = digests(work / "results/tiny/source", "*.png")
    assert fetched == digests(tmp_path / "served", "*.png")
    finish(work, "validate", "--forcerun", "validate")
    assert len(server.requests) == 16
    sums, served = work / "files.sha256", tmp_path / "served"
    sums.write_text("\n\n".join(reversed(sums.read_text().splitlines())))
    finish(work, "validate")
    assert len(server.requests) == 16
    # A corrected image at the same address.
    shutil.copyfile(served / "image/01.png", served / "image/00.png")
    lines = [f"{checksum}  {name}\n" for name, checksum in digests(served, "*.png").items()]
    sums.write_text("".join(lines))
    finish(work, "validate")
    assert digests(work / "results/tiny/source", "*.png") == digests(served, "*.png")


def test_existing_folders_are_used_as_they_are(work, server, dataset):
    shutil.copytree(dataset / "images", work / "images")
    shutil.copytree(dataset / "labels", work / "labels")
    finish(work, "validate")
    assert server.requests == []
    assert not (work / "results/tiny/source").exists()


def test_a_file_with_another_checksum_is_refused(work, tmp_path, server):
    (tmp_path / "served/image/03.png").write_bytes(b"another file")
    code, output = snakemake(work, "validate")
    assert code != 0
    told = [line for line in output.splitlines() if "03.png: checksum" in line]
    assert "run again later, fix dataset.download" in told[-1]
    assert "Traceback" not in output
    assert half_written(work) == []
    assert not (work / "results/tiny/source/image/03.png").exists()
    assert not (work / "results/tiny/data").exists()


def test_a_killed_download_is_done_again(work, tmp_path):
    code, _ = snakemake(work, "validate", environment=fatal("both", "os.rename label/03.png$"))
    assert code != 0
    assert half_written(work) != []
    output = finish(work, "validate")
    assert "a Snakemake was killed here" in output
    assert "download: the last attempt, process" in output
    assert digests(work / "results/tiny/source", "*.png") == digests(tmp_path / "served", "*.png")
    assert half_written(work) == []
