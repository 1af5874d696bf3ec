"""HTML pages: their common template, and the browser of images that they share."""
