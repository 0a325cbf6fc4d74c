"""One file for each package manager; each defines `ECOSYSTEM`, which keeps the promises of `plan.Ecosystem`.

Everything here is pure: it says which commands will run in the guest and why, and starts none. What it reads
(manifests, file lists, directory listings of the guest) was written by whoever wrote the package, so every
name is checked before it becomes part of a command, and every list is bounded.
"""
