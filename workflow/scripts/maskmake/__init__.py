"""Binary segmentation from a folder of images and a folder of masks, step by step over files.

The rooms are stacked in floors (see README.md, "The house"); a room imports only from floors
below its own.
"""
