"""The words and pictures of the report."""
