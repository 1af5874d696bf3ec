"""Images that lie on a server or in a bucket."""

import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer
from workspace import (
    NOTHING_TO_DO,
    configure,
    copy_workspace,
    digests,
    fatal,
    finish,
    planned,
    snakemake,
    why,
)

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import read_csv, write_png

KINDS = {"images": "image", "labels": "label"}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def http(tmp_path):
    """Address of a server on this machine; it serves the folder ``served``."""
    (tmp_path / "served").mkdir()
    handler = partial(Handler, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def archives(http, dataset, tmp_path):
    """The section dataset.storage of two archives on that server."""
    for kind in KINDS:
        shutil.make_archive(tmp_path / "served" / kind, "zip", dataset, kind)
    return {kind: f"{http}/{kind}.zip" for kind in KINDS}


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a storage on this machine that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    access = {"ACCESS_KEY": "user", "SECRET_KEY": "word"}
    for name, value in (access | {"ENDPOINT_URL": f"http://{host}:{port}"}).items():
        monkeypatch.setenv(f"SNAKEMAKE_STORAGE_S3_{name}", value)
    resource = boto3.resource(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id=access["ACCESS_KEY"],
        aws_secret_access_key=access["SECRET_KEY"],
    )
    yield resource.create_bucket(Bucket="microscope")
    server.stop()


def work_with(storage, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    configure(folder, dataset={"name": "tiny", "storage": storage})
    return folder


def data_of(folder):
    return digests(folder / "results/tiny/data", "*.npy", "index.csv", "splits.csv", "plan.json")


def test_archives_on_a_server_are_a_data_set(archives, finished, tmp_path):
    folder = work_with(archives, tmp_path)
    finish(folder, "plan")
    assert data_of(folder) == data_of(finished)
    assert NOTHING_TO_DO in finish(folder, "plan")

    write_png(tmp_path / "new/images/00.png", synthesize(50, 96, 1)[0])
    shutil.make_archive(tmp_path / "served/images", "zip", tmp_path / "new", "images")
    assert planned(folder, "plan") >= {"retrieve", "validate", "binarize", "plan"}


def test_a_killed_retrieval_is_done_again(archives, dataset, tmp_path):
    folder = work_with(archives, tmp_path)
    code, _ = snakemake(folder, "validate", environment=fatal("both", "os.rename label/03.png$"))
    assert code != 0
    assert "retrieve: the last attempt, process" in finish(folder, "validate")
    fetched = digests(folder / "results/tiny/source", "*.png")
    assert sorted(fetched.values()) == sorted(digests(dataset, "*.png").values())


def test_folders_of_a_bucket_are_a_data_set(bucket, dataset, finished, tmp_path):
    for path in dataset.rglob("*.png"):
        bucket.upload_file(str(path), f"fly/{path.relative_to(dataset)}")
    folder = work_with({kind: f"s3://microscope/fly/{kind}" for kind in KINDS}, tmp_path)
    finish(folder, "plan")
    assert data_of(folder) == data_of(finished)
    assert NOTHING_TO_DO in finish(folder, "plan")

    for kind in KINDS:
        bucket.Object(f"fly/{kind}/00.png").delete()
    assert "the storage holds more or less than it did" in why(folder, "plan")[1]
    finish(folder, "plan")
    assert "00" not in read_csv(folder / "results/tiny/data/index.csv")["id"].tolist()


# Retrieval and segment are each tested with a server below and in test_segment.py.
@pytest.mark.slow
def test_a_list_of_addresses_is_segmented(http, bucket, finished, tmp_path):
    """Though one cannot be used at first; the other mask of its shard is then kept."""
    folder = tmp_path / "work"
    for i in range(3):
        write_png(folder / f"new/x{i}.png", synthesize(20 + i, 80, 1)[0])
    shutil.copy(folder / "new/x0.png", tmp_path / "served")
    bucket.upload_file(str(folder / "new/x2.png"), "x2.png")
    bucket.put_object(Key="x1.png", Body=b"no image")
    addresses = [f"{http}/x0.png?version=1", "s3://microscope/x1.png", "s3://microscope/x2.png"]
    for name, images in (("here", "new"), ("there", addresses)):
        model = str(finished / "results/tiny/runs/a")
        segment = {"images": images, "model": model, "shard_size": 2}
        (folder / "config.yaml").write_text(
            json.dumps({"dataset": {"name": name}, "predict": {"tile": 96}, "segment": segment})
        )
        if name == "here":
            finish(folder, "segment", "--cores", "2")
    code, output = snakemake(folder, "segment", "--cores", "2")
    assert code != 0
    assert re.search(r"x1\.png: cannot be decoded.*\n2 of 3 images are done: \S+csv\n$", output)
    (fetched,) = (folder / "results/there/segment/a").iterdir()  # named after the server
    made = (fetched / "x0.png").stat().st_mtime_ns
    bucket.upload_file(str(folder / "new/x1.png"), "x1.png")
    finish(folder, "segment", "--cores", "2")
    assert (fetched / "x0.png").stat().st_mtime_ns == made
    masks = digests(fetched, "*.png")
    assert {path.name for path in fetched.glob("*.png")} == {"x0.png", "x1.png", "x2.png"}
    assert masks == digests(folder / "results/here/segment/a/new", "*.png")
    assert NOTHING_TO_DO in finish(folder, "segment")


# --- results in a bucket ------------------------------------------------------------------------

IN_BUCKET = ("--default-storage-provider", "s3", "--default-storage-prefix", "s3://microscope/work")


def test_the_report_names_all_that_it_reads(bucket, finished, dataset, tmp_path):
    """Only what a rule names as its input is fetched from the bucket, and into an empty folder."""
    results = [path for path in (finished / "results/tiny").rglob("*") if path.is_file()]
    # In the order in which they were made, so that none is older than its inputs.
    for path in sorted(results, key=lambda path: path.stat().st_mtime_ns):
        key = path.relative_to(finished)
        if path.suffix != ".keras" and not key.parts[2].startswith("report"):
            bucket.upload_file(str(path), f"work/{key}")
    folder = copy_workspace(dataset, tmp_path / "work")
    configure(folder)
    output = finish(folder, "report", *IN_BUCKET, "--rerun-triggers", "input")
    assert "1 step: report" in output
    made = {item.key: item.get()["Body"].read() for item in bucket.objects.filter(Prefix="work")}
    page = finished / "results/tiny/report.html"
    assert made["work/results/tiny/report.html"] == page.read_bytes()


@pytest.mark.slow
def test_all_results_may_lie_in_a_bucket(bucket, folder):
    configure(folder, runs={"a": {}})
    finish(folder, "report", *IN_BUCKET, "--cores", "2")
    results = {item.key.removeprefix("work/results/tiny/") for item in bucket.objects.all()}
    assert results >= {"report.html", "report/data.png", "runs/a/fold0/model.keras"}
    assert not (folder / "results/tiny/runs").exists()
    assert NOTHING_TO_DO in finish(folder, "report", *IN_BUCKET)


# --- what can be wrong --------------------------------------------------------------------------


def refused(storage, tmp_path) -> str:
    folder = work_with(storage, tmp_path)
    code, output = snakemake(folder, "validate")
    assert code != 0
    assert "Traceback" not in output
    return output


def test_an_address_that_is_wrong_is_named(archives, http, tmp_path):
    wrong = archives | {"labels": f"{http}/lables.zip"}
    sentence = f"{http}/lables.zip: not found; expected an object that can be read; fix"
    assert sentence in refused(wrong, tmp_path)
    finish(work_with(archives, tmp_path), "validate")
    # No older result is taken for it.
    assert f"but the configuration names {http}/lables.zip" in refused(wrong, tmp_path)


def test_a_server_that_is_away_is_named(tmp_path):
    address = "http://127.0.0.1:9/images.zip"
    output = refused(dict.fromkeys(KINDS, address), tmp_path)
    assert f"{address}: no answer (" in output and "run again when the storage is there" in output


def test_a_storage_without_a_plugin_is_named(tmp_path):
    output = refused({kind: f"gs://microscope/{kind}" for kind in KINDS}, tmp_path)
    assert "no installed storage plugin of Snakemake reads gs://" in output


def test_half_an_archive_is_named_and_leaves_nothing(archives, tmp_path):
    (tmp_path / "served/images.zip").write_bytes(b"PK")
    assert "images.zip: cannot be read as an archive" in refused(archives, tmp_path)
    assert not (tmp_path / "work/results/tiny/source/image").exists()
