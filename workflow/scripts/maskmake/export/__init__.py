"""Packages: trained networks that leave with all that they need, and their use in Python."""
