"""Images out of archives: each is a stream of bytes, and no name in an archive becomes a path."""

import bz2
import errno
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, Protocol

from maskmake.data.folders import IMAGE_SUFFIXES, role_of
from maskmake.runtime.errors import UserError, first_line

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_SIGNATURES = (b"PK\3\4", b"PK\5\6")
DECOMPRESSORS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
LOCAL_HEADER, UTF_8_NAME = 30, 0x800  # bytes, and a bit of the flags
# What ends a zip: perhaps a record of ZIP64 and its locator, the record, and a comment. After
# section 4.3 of https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
END_64, LOCATOR_64 = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
END, LONGEST_COMMENT = struct.Struct("<4s4H2LH"), 0xFFFF
TAR_SIGNATURE, TAR_SIGNATURE_AT = b"ustar", 257

# Up to ALWAYS_BYTES an archive may hold whatever its own size is, above that so many times as
# much: labels stored as raw pixels shrink to a hundredth, and only bombs to a thousandth.
ALWAYS_BYTES, MOST_TIMES = 1 << 32, 200
MOST_MEMBERS = 1_000_000
# Read at once: the list of a zip (some 200,000 names), a long name in a tar.
LARGEST_LIST, LARGEST_HEADER = 1 << 24, 1 << 20
CHUNK_BYTES = 1 << 18
MOST_EMPTY_READS = 8

DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Member(NamedTuple):
    """An image in an archive.

    Attributes:
        name: of the file, without folders.
        role: of the folder around it, the name if that means a role (``folders.role_of``), such as
            ``val``; else empty.
        stream: its bytes, to be read before the next member is asked for.
    """

    name: str
    role: str
    stream: Readable


class Refused(Exception):
    """A reason not to read on; its text goes on after the name of the archive."""


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its suffix, in any case, or by its first bytes."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    with path.open("rb") as file:
        start = file.read(TAR_SIGNATURE_AT + len(TAR_SIGNATURE))
    return start.startswith((*ZIP_SIGNATURES, *DECOMPRESSORS)) or start.endswith(TAR_SIGNATURE)


def read_images(path: Path) -> Iterator[Member]:
    """The images of an archive (zip, tar, tar.gz, tar.bz2, tar.xz), one after the other.

    The archive is read to its end, so that its checksums are compared.

    Raises:
        UserError: the archive is damaged, cut or encrypted, holds an image that is no regular
            file, or more than an honest archive of its size.
    """
    with path.open("rb") as file:
        start = file.read(6)
    with _explain_damage(path):
        if start.startswith(ZIP_SIGNATURES) or path.name.lower().endswith(".zip"):
            yield from _read_zip(path)
        else:
            yield from _read_tar(path, start)


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """Turn what is wrong with an archive into a user's sentence."""
    try:
        yield
    except Refused as refused:
        raise UserError(f"{path}: {refused}") from None
    except (OSError, *DAMAGED) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk; those of a decompressor have no number
        raise UserError(
            f"{path}: cannot be read as an archive ({first_line(error)}); expected a whole zip or "
            "tar without a password; store it again."
        ) from None


class _Stream:
    """The bytes of a member; what is wrong with the archive is explained as they are read."""

    def __init__(self, path: Path, stream: IO[bytes]):
        self._path, self._stream = path, stream

    def read(self, size: int = -1) -> bytes:
        with _explain_damage(self._path):
            return self._stream.read(size)


def _budget(path: Path) -> int:
    return max(ALWAYS_BYTES, MOST_TIMES * path.stat().st_size)


def _refuse_more(path: Path, claimed: int) -> None:
    """Refuse an archive that says it holds ``claimed`` bytes where that is too much."""
    most, free = _budget(path), shutil.disk_usage(path.parent).free
    if claimed > most:
        raise Refused(
            f"{path.stat().st_size} bytes that unpack to {claimed} or more; expected at most "
            f"{most}; unpack it by hand, if you trust it, and name the folders in dataset.images "
            "and dataset.labels."
        )
    if claimed > free:
        raise Refused(
            f"unpacks to {claimed} bytes or more, and {free} are free on the disk; free space."
        )


def _place(name: str) -> tuple[str, str] | None:
    """Name of an image, and of its folder if that means a role; None for what is no image."""
    if "\0" in name:
        raise Refused(f"the name {name!r} has a zero byte; expected none; store it again.")
    path = PurePosixPath(name)
    if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
        return None
    return path.name, path.parent.name if role_of(path.parent.name) else ""


def _irregular(name: str, kind: str) -> Refused:
    return Refused(
        f"{name} is {kind}; expected regular files only; store the image itself in the archive."
    )


# --- zip ----------------------------------------------------------------------------------------


class _Bounded:
    """A file of which no more than LARGEST_LIST bytes are read at once."""

    def __init__(self, file: IO[bytes]):
        self._file, self._size = file, os.fstat(file.fileno()).st_size
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = self._size - self.tell()
        if size > LARGEST_LIST:
            raise Refused(
                f"a list of members of {size} bytes; expected at most {LARGEST_LIST}; split it "
                "into several archives."
            )
        return self._file.read(size)


def _check_count(file: IO[bytes], members: list[zipfile.ZipInfo]) -> None:
    """Refuse a list that is shorter than the archive says: damage may hide members in it."""
    expected = _recorded_count(file)  # which zipfile reads and does not compare
    if expected != len(members):
        raise zipfile.BadZipFile(f"{len(members)} members are listed of {expected}")


def _recorded_count(file: IO[bytes]) -> int:
    """How many members the record at the end of a zip names; that of ZIP64 where there is one."""
    longest = END_64.size + LOCATOR_64.size + END.size + LONGEST_COMMENT
    file.seek(max(0, os.fstat(file.fileno()).st_size - longest))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    locator = end - LOCATOR_64.size
    end_64 = locator - END_64.size
    if end_64 >= 0 and tail.startswith(b"PK\6\7", locator) and tail.startswith(b"PK\6\6", end_64):
        return END_64.unpack_from(tail, end_64)[7]
    return END.unpack_from(tail, end)[4]


def _check_name(file: IO[bytes], member: zipfile.ZipInfo) -> None:
    """Refuse a member with two names: it may be an image whose suffix was damaged in one of them.

    The list of members has no checksum. Of images zipfile compares both names as it opens them.
    """
    file.seek(member.header_offset)
    head = file.read(LOCAL_HEADER)
    name = file.read(int.from_bytes(head[26:28], "little"))
    text = name.decode("utf-8" if member.flag_bits & UTF_8_NAME else "cp437", "replace")
    if not head.startswith(ZIP_SIGNATURES[0]) or text != member.orig_filename:
        raise zipfile.BadZipFile(f"{member.orig_filename!r} has another name before its content")


def _read_zip(path: Path) -> Iterator[Member]:
    with path.open("rb") as file, zipfile.ZipFile(_Bounded(file)) as archive:
        members = archive.infolist()
        _check_count(file, members)
        images = []
        for member in members:
            # Some programs for Windows write backslashes between folders.
            place = _place(member.filename.replace("\\", "/"))
            if place and not member.is_dir():
                images.append((*place, member))
            else:
                _check_name(file, member)
        _refuse_more(path, sum(member.file_size for _, _, member in images))
        for name, role, member in images:
            mode = stat.S_IFMT(member.external_attr >> 16)
            if mode not in (0, stat.S_IFREG):
                raise _irregular(name, "a link" if mode == stat.S_IFLNK else "a special file")
            if member.flag_bits & 1:
                raise Refused(
                    f"{name} is encrypted; expected an archive without a password; store it again."
                )
            with archive.open(member) as stream:
                yield Member(name, role, _Stream(path, stream))


# --- tar ----------------------------------------------------------------------------------------


class _Forward:
    """A stream that is read once from its start to its end, in pieces, as tarfile reads a file."""

    def __init__(self, path: Path, stream: IO[bytes]):
        self._path, self._stream, self._position, self._empty_reads = path, stream, 0, 0
        self._budget = _budget(path)

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_HEADER:
            raise Refused(
                f"a name or header of {size} bytes; expected at most {LARGEST_HEADER}; it is no "
                "archive of images."
            )
        parts, missing = [], size
        while missing and (part := self._stream.read(missing)):
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self._empty_reads += not data
        if self._empty_reads > MOST_EMPTY_READS:  # tarfile would go on for ever
            raise EOFError("it ends within a header")
        self._position += len(data)
        return data

    def seek(self, position: int) -> int:
        self.expect(position)
        while self._position < position:
            if not self.read(min(CHUNK_BYTES, position - self._position)):
                raise EOFError("it ends within a member")
        if position < self._position:
            raise ValueError("members overlap")
        return position

    def expect(self, position: int) -> None:
        """Refuse to read on to a position that an honest archive does not have."""
        if position > self._budget:
            _refuse_more(self._path, position)

    def finish(self) -> None:
        """Read to the end, where the decompressor compares its checksum."""
        while self.read(CHUNK_BYTES):
            self.expect(self._position)


class _Header(tarfile.TarInfo):
    """A header that cannot be read is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile):
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the mark at the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error}, byte {tarfile_.offset}") from None


def _open_stream(path: Path, start: bytes) -> IO[bytes]:
    for signature, decompressor in DECOMPRESSORS.items():
        if start.startswith(signature):
            return decompressor(path, "rb")
    return path.open("rb")


def _kind(member: tarfile.TarInfo) -> str:
    return "a link" if member.issym() or member.islnk() else "a special file"


def _read_tar(path: Path, start: bytes) -> Iterator[Member]:
    with _open_stream(path, start) as stream:
        forward = _Forward(path, stream)
        with tarfile.TarFile(fileobj=forward, tarinfo=_Header) as archive:  # type: ignore[arg-type]
            members = claimed = 0
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
                members += 1
                if members > MOST_MEMBERS:
                    raise Refused(f"more than {MOST_MEMBERS} members; split it into several.")
                place = _place(member.name)
                if place is None or member.isdir():
                    continue
                name, role = place
                if not member.isreg():
                    raise _irregular(name, _kind(member))
                claimed += member.size  # in a file with gaps more than the archive has
                forward.expect(max(claimed, member.offset_data + member.size))
                content = archive.extractfile(member)
                assert content is not None  # for mypy: it is a regular file
                yield Member(name, role, _Stream(path, content))
        forward.finish()
