"""baitbox: runs a package among bait and says whether it hunts credentials."""

__version__ = "0.1.0"
