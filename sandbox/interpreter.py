"""Says what must be mounted for a Python to run elsewhere: program, library folders, headers and wheel tags.

Imported for the Python that baitbox itself runs on. For another one this file is run by that Python, as a
script, with the folder that holds `packaging` as its argument; so it imports nothing of ours and nothing new.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig


def describe() -> dict[str, object]:
    """The base interpreter (never a virtual environment) by its real paths; values are JSON."""
    from packaging.tags import sys_tags  # where it is, the caller has said

    prefix = os.path.realpath(sys.base_prefix)
    names = {"base": prefix, "platbase": prefix, "installed_base": prefix, "installed_platbase": prefix}
    stdlib = os.path.realpath(sysconfig.get_path("stdlib", vars=names))
    library = str(sysconfig.get_config_var("INSTSONAME") or "")
    folder = str(sysconfig.get_config_var("LIBDIR") or "")
    places = (os.path.join(prefix, "lib", library), os.path.join(folder, library))
    shared = bool(sysconfig.get_config_var("Py_ENABLE_SHARED")) and library.startswith("libpython")
    return {
        "implementation": sys.implementation.name,
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "executable": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
        "prefix": prefix,
        "stdlib": stdlib,
        "include": os.path.realpath(sysconfig.get_path("include", vars=names)),
        "library": _first(*places) if shared else "",
        "packages": _packages(stdlib),
        "tags": [str(tag) for tag in sys_tags()],
    }


def _packages(stdlib: str) -> list[str]:
    """Folders of third-party packages inside or beside the standard library: nobody's business in a guest."""
    above = os.path.dirname(stdlib)
    found = [os.path.join(stdlib, "site-packages"), os.path.join(stdlib, "dist-packages")]
    found += [os.path.join(above, "python3", "dist-packages")]
    other = sysconfig.get_path("platstdlib", vars={"platbase": os.path.dirname(above)})
    found += [os.path.join(other, "site-packages")]
    return sorted({os.path.realpath(path) for path in found if os.path.isdir(path)})


def _first(*paths: str) -> str:
    return next((path for path in paths if os.path.isfile(path)), "")


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])  # before a packaging of its own, which may order the tags otherwise
    json.dump(describe(), sys.stdout)
