"""Emulated clouds on this machine, for clusterkit and for the vendors' own clients."""

__version__ = "0.1.0"
"""clusterkit's version: both packages are one distribution"""
