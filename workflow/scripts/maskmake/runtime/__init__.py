"""A job and the machine it runs on: errors, log, locks, GPUs, files."""
