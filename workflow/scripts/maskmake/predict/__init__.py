"""Networks applied to whole images and to new ones."""
