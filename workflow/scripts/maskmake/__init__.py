"""Binary segmentation from a folder of images and a folder of masks, step by step over files.

The modules lie in layers (see docs/architecture.md); each imports only from layers below its own.
"""

__all__ = ["load"]


def __dir__():
    return sorted({*globals(), *__all__})


def __getattr__(name: str):
    # Only when it is asked for: every step imports this package, and few need ONNX Runtime.
    if name == "load":
        from importlib import import_module

        return import_module("maskmake.export.packaged").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
