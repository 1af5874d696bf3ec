"""Binary segmentation from a folder of images and a folder of masks, step by step over files.

The modules lie in layers (see docs/architecture.md); each imports only from layers below its own.
"""
