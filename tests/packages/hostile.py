"""Hostile guests: packages that try to exhaust, blind, trick or leave the guest. None may come out clean.

Where a package only floods, it reads a key afterwards (and sends nothing): the sensors must still see that.
Each is bounded by itself too, and what it writes where it should not is harmless, so that a host whose limits or
walls fail survives its own tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.packages import build
from tests.packages.fixture import NOT_CLEAN, Built, Expectation, Fixture
from tests.packages.settled import javascript

MEBIBYTE = 1024 * 1024


def _hostile(
    name: str,
    why: str,
    make: Callable[[str], build.Files],
    *,
    limits: dict[str, int] | None = None,
    trigger: str = "postinstall",
) -> Fixture:
    """A package called after its fixture that runs `./bin/setup` or setup.js at `trigger`."""
    package = name.removeprefix("hostile-") + "-tools"

    def built(folder: Path) -> Built:
        files = make(package)
        if trigger == "import":
            return Built(target=build.npm(folder, package, files))
        command = "./bin/setup" if "bin/setup" in files else "node setup.js"
        pack = build.npm(folder, package, files, executable=["bin/setup"], scripts={trigger: command})
        return Built(target=pack)

    return Fixture(
        name=name, ecosystem="npm", kind="hostile", package=package, build=built, why=why,
        expect=Expectation(verdicts=NOT_CLEAN), limits=limits or {},
    )  # fmt: skip


def _program(name: str) -> Callable[[str], build.Files]:
    """The static program c/<name>.c, run by postinstall."""
    return lambda _: {"index.js": "module.exports = {};\n", "bin/setup": build.program(name)}


def _script(body: str, modules: str = "") -> Callable[[str], build.Files]:
    """A script, run by postinstall."""
    return lambda _: {"index.js": "module.exports = {};\n", "setup.js": javascript(body, modules)}


def _index(body: str, modules: str = "") -> Callable[[str], build.Files]:
    """A script, run by the import."""
    return lambda _: {"index.js": javascript(body, modules)}


_FILL = _script(
    """
    const block = Buffer.alloc(1024 * 1024, 0x5a);
    for (const folder of ["/tmp", os.homedir(), "/dev/shm", "/var/tmp"]) {
      try {
        const file = fs.openSync(`${folder}/.filling`, "w");
        for (let size = 0; size < 256; size += 1) fs.writeSync(file, block);
      } catch {
        continue;
      }
    }
    fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`);
    """
)

_PRINT = _index(
    """
    const escapes = ["[2J", "[1;1H", "]0;all is well\\u0007", "[8mhidden", "[0m"];
    const line = escapes.map((text) => `\\u001b${text}`).join("") + "\\u009b31m\\r\\n";
    const block = Buffer.from(line.repeat(Math.ceil((64 * 1024) / line.length)));
    for (let written = 0; written < 100e6; ) {
      try {
        written += fs.writeSync(1, block);
      } catch (error) {
        if (error.code !== "EAGAIN") break;
      }
    }
    fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`);
    """
)

_CONNECT = _script(
    """
    const server = net.createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((done) => server.once("listening", done));
    const targets = [
      () => ({ host: "127.0.0.1", port: server.address().port }),
      (number) => ({ host: `198.51.100.${number % 250}`, port: 1024 + (number % 4000) }),
      (number) => ({ host: `h${number % 500}.many-hosts.test`, port: 80 }),
      (number) => ({ host: `203.0.113.${number % 250}`, port: 443 }),
    ];
    const once = (number) => new Promise((done) => {
      const socket = net.connect({ ...targets[number % targets.length](number), timeout: 500 });
      socket.on("connect", () => socket.end("x")).on("timeout", () => socket.destroy());
      socket.on("error", () => {}).on("close", done).resume();
      setTimeout(() => socket.destroy(), 500).unref();
    });
    for (let number = 0; number < 5000; number += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, place) => once(number + place)));
    }
    server.close();
    fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`);
    """,
    "net",
)

_FIRST_PROCESS = _script(
    """
    const attempt = (action) => {
      try {
        action();
      } catch {
        return;
      }
    };
    for (const name of ["environ", "cmdline", "maps", "mem", "root/etc/shadow", "root/root/.ssh/id_rsa"]) {
      attempt(() => fs.readSync(fs.openSync(`/proc/1/${name}`, "r"), Buffer.alloc(64)));
    }
    attempt(() => fs.readdirSync("/proc/1/root"));
    attempt(() => fs.readdirSync("/proc/1/fd").map((name) => fs.readlinkSync(`/proc/1/fd/${name}`)));
    attempt(() => fs.closeSync(fs.openSync("/proc/1/mem", "r+")));
    attempt(() => fs.writeFileSync("/proc/1/oom_score_adj", "1000"));
    attempt(() => fs.writeFileSync("/proc/1/root/tmp/.left", "here"));
    attempt(() => fs.writeFileSync("/proc/1/cwd/.left", "here"));
    const setting = "/proc/sys/kernel/core_pattern";
    attempt(() => fs.writeFileSync(setting, fs.readFileSync(setting)));
    """
)

_SYMLINKS = _script(
    """
    const attempt = (action) => {
      try {
        action();
      } catch {
        return;
      }
    };
    attempt(() => fs.symlinkSync("/etc", `${__dirname}/settings`));
    attempt(() => fs.symlinkSync("../../../../../../../..", `${__dirname}/top`));
    attempt(() => fs.symlinkSync(`${os.homedir()}/.ssh`, `${__dirname}/data`));
    attempt(() => fs.appendFileSync(`${__dirname}/settings/hosts`, "203.0.113.9 files.many-hosts.test\\n"));
    attempt(() => fs.writeFileSync(`${__dirname}/settings/ld.so.preload`, `${__dirname}/none.so\\n`));
    attempt(() => fs.writeFileSync(`${__dirname}/top/root/.profile`, "true\\n"));
    attempt(() => fs.readFileSync(`${__dirname}/data/id_ed25519`));
    """
)

_HARD_LINK = _script(
    """
    const copy = `${__dirname}/notes.txt`;
    fs.linkSync(`${os.homedir()}/.ssh/id_ed25519`, copy);
    fs.readFileSync(copy);
    """
)

_PATHS = _script(
    """
    process.chdir(`${os.homedir()}/.ssh/../.cache/../.ssh`);
    fs.readFileSync("./../.ssh/.//id_ed25519");
    fs.readFileSync("/proc/self/cwd/id_ed25519");
    fs.readFileSync(`/proc/self/root/../${os.homedir()}/.aws/credentials`);
    const folder = fs.openSync(os.homedir(), "r");
    fs.readFileSync(`/proc/self/fd/${folder}/.netrc`);
    """
)

_AUTHORITY = _script(
    """
    const own = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n";
    const bundles = [
      process.env.NODE_EXTRA_CA_CERTS,
      process.env.SSL_CERT_FILE,
      "/etc/ssl/certs/ca-certificates.crt",
      "/etc/ssl/cert.pem",
      "/usr/local/share/ca-certificates/.left.crt",
    ];
    for (const path of bundles.filter(Boolean)) {
      try {
        fs.appendFileSync(path, "# one more authority would stand here\\n");
      } catch {
        continue;
      }
    }
    """
)

HOSTILE = [
    _hostile(
        "hostile-fork-bomb", "processes without end", _program("fork_bomb"),
        limits={"processes": 256},
    ),
    _hostile(
        "hostile-memory-bomb", "memory without end", _program("memory_bomb"),
        limits={"memory": 1024 * MEBIBYTE},
    ),
    _hostile("hostile-disk-filler", "files until none fits", _FILL, limits={"disk": 128 * MEBIBYTE}),
    _hostile("hostile-output", "100 MB of output made of terminal escapes", _PRINT, trigger="import"),
    _hostile("hostile-connections", "5,000 connections, inside and outside the guest", _CONNECT),
    _hostile("hostile-kill-all", "SIGKILL for everything in sight", _program("kill_all")),
    _hostile("hostile-first-process", "reads and writes through /proc/1", _FIRST_PROCESS),
    _hostile("hostile-trace-others", "ptrace, process_vm_*, /proc/PID/mem", _program("trace_others")),
    _hostile("hostile-remount", "mount, umount and namespaces of its own", _program("remount")),
    _hostile("hostile-symlinks", "symbolic links out of the project, and writes through them", _SYMLINKS),
    _hostile("hostile-hard-link", "a key read under another name", _HARD_LINK),
    _hostile("hostile-paths", "keys read by paths that need resolving", _PATHS),
    _hostile("hostile-authority", "writes to the certificate bundles that programs trust", _AUTHORITY),
    _hostile("hostile-close-all", "closes every descriptor, then reads a key", _program("close_all")),
    _hostile("hostile-path-race", "a path rewritten while it is opened", _program("path_race")),
    _hostile("hostile-io-uring", "a key opened and read through io_uring", _program("io_uring")),
    _hostile("hostile-old-call", "a key opened with int 0x80", _program("old_call")),
    _hostile("hostile-x32-call", "a key opened with an x32 system call", _program("x32_call")),
    _hostile("hostile-from-memory", "a program that is in no file", _program("from_memory")),
]  # fmt: skip
