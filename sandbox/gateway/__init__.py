"""The gateway plays the internet to a guest: DNS, TLS, HTTP, registries, a world that takes the bait for real.

Protocols are bytes in, bytes and values out. Only `channel`, `witness`, `web` and `server` wait for anything, and none
of them sends what a guest says any further.
"""
