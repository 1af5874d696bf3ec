"""From the files of a user to the pixel store, the split and the fingerprint."""
