"""Archives as files, whole or changed, and what maskmake makes of one."""

import io
import shutil
import tarfile
import zipfile

import numpy as np
from bounded import refusal
from PIL import Image

from maskmake.data.retrieval import copy_images


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png(7)


def entry(name, kind=tarfile.REGTYPE, link="", size=None, **attributes):
    """A header of a tar; ``size`` is claimed without any content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size or 0
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def write_tar(path, *members, mode="w"):
    """Members are headers, or pairs of a name and its content."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tuple):
                info = entry(member[0], size=len(member[1]))
                archive.addfile(info, io.BytesIO(member[1]))
            else:
                archive.addfile(member)
    return path


def write_zip(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def change(path, edit):
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)
    return path


def images_of(path, tmp_path):
    out = tmp_path / "out/image"
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    copy_images([str(path)], out)
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def refuse(path, tmp_path):
    return refusal(images_of, path, tmp_path).removeprefix(f"{path}: ")
