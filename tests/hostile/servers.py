"""Servers on this machine that give archives of a data set, and do so badly."""

import base64
import re
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder.

    The server may have ``authorization``, the header that it asks for, ``behaviour``: ``"stall"``
    (no answer), ``"cut"`` (each answer to GET ends after ``cut_after`` bytes), ``"short"`` (a later
    part of a file is so long, and says so), a status that every request gets, or an address to
    which every request is led, ``encoding``: what it says its files are compressed with, and
    ``without_head``: whether HEAD is refused. It notes the path of each GET in ``fetched``, its
    first byte in ``starts`` and each method in ``methods``.
    """

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        server = self.server
        server.methods.append(self.command)
        if server.behaviour == "stall":
            server.ended.wait()
            return
        if server.authorization and self.headers.get("Authorization") != server.authorization:
            self._head(401)
        elif server.behaviour.startswith(("http:", "file:")):
            self._head(302, Location=server.behaviour)
        elif server.behaviour.isdigit():
            self._head(int(server.behaviour))
        elif self.command == "HEAD" and server.without_head:
            self._head(403)
        else:
            self._send_file()

    def _head(self, status, length=0, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send_file(self):
        path = self.translate_path(self.path)
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                content = file.read()
        except OSError:
            self._head(404)
            return
        tag = f'"{hash(content)}"'
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", tag) == tag
        start = int(found[1]) if found and same and self.server.with_ranges else 0
        if start and start >= len(content):
            self._head(416, Content_Range=f"bytes */{len(content)}")
            return
        headers = {"ETag": tag}
        if self.server.encoding:
            headers["Content_Encoding"] = self.server.encoding
        end = len(content)
        if start:
            if self.server.behaviour == "short":
                end = min(end, start + self.server.cut_after)
            headers["Content_Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        self._head(206 if start else 200, end - start, **headers)
        if self.command == "HEAD":
            return
        self.server.fetched.append(self.path.partition("?")[0])
        self.server.starts.append(start)
        rest = content[start:end]
        if self.server.behaviour == "cut" and len(rest) > self.server.cut_after:
            self.wfile.write(rest[: self.server.cut_after])
            self.close_connection = True
        else:
            self.wfile.write(rest)

    def log_message(self, *_):
        pass


@contextmanager
def serve(folder, user=None, password=None):
    """A server of a folder; see ``Handler`` for what it may be told."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        server.daemon_threads = True
        server.fetched, server.starts, server.methods = [], [], []
        server.behaviour, server.cut_after, server.encoding = "", 1000, ""
        server.with_ranges, server.without_head = True, False
        server.ended = threading.Event()
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        server.authorization = f"Basic {pair}" if user else None
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@contextmanager
def serve_archives(dataset, tmp_path, **options):
    """A server that has ``images.zip`` and ``labels.zip`` of a data set."""
    for kind in ("images", "labels"):
        shutil.make_archive(tmp_path / "served" / kind, "zip", dataset, kind)
    with serve(tmp_path / "served", **options) as server:
        yield server
