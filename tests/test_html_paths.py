"""The paths of stolen secrets, as the page tells and draws them."""

from __future__ import annotations

import base64
import json
import re

from sandbox import events, report
from sandbox.decoys.npm_token import DECOY as NPM_TOKEN
from sandbox.facts import gather
from sandbox.reporters import _html_flows, html
from sandbox.reporters._html_bodies import Decoder
from sandbox.reporters._html_drawing import flow
from tests.hostile_report import INJECTIONS, hostile_report
from tests.html_samples import STOLEN, Skeleton, connect, data_of, page_of, sent, story, values
from tests.recording import HOME, Story
from tests.test_reporters import finding, package, whole


def paths_of(recording: events.Recording, *findings: report.Finding) -> tuple[list[_html_flows.Flow], int]:
    return _html_flows.completed(_html_flows.recognised(gather(recording), findings), findings)


def captions(page: str) -> str:
    return "".join(re.findall(r"<figcaption>(.*?)</figcaption>", page))


def test_the_path_of_a_secret_is_told_and_drawn() -> None:
    (one,), more = paths_of(story().recording(), STOLEN)
    assert more == 0 and one.recognised
    assert one.baits == (_html_flows.Step("bait", "npm_token: publish token", "~/.npmrc"),)
    assert [step.text for step in one.steps] == ["/usr/bin/dash -c 'node x.js'", "/usr/bin/node x.js"]
    assert one.out.text == "https POST to c.test" and one.out.detail == "in its body, as base64 in gzip"
    sentence = one.sentence()
    for words in ("~/.npmrc", "/usr/bin/node x.js", "https POST to c.test", "base64 in gzip"):
        assert words in sentence
    drawn = Skeleton(flow(one, "x"))
    assert [name for name, _ in drawn.elements].count("svg") == 2
    assert "https POST to c.test" in drawn.texts


def test_bait_that_was_read_by_another_process_and_bait_of_no_file() -> None:
    made = Story()
    root = made.begin("install", "install", ["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install"])
    script = made.script(root)
    reader = made.child(script, "/usr/bin/cat", ["cat", f"{HOME}/.npmrc"])
    made.read(reader, f"{HOME}/.npmrc")
    sender = made.child(script, "/usr/bin/curl", ["curl", "c.test"])
    made.add(events.ConnectionOpened, process=sender, protocol="udp", address="9.9.9.9", port=53, connection=5)
    for decoy in ("npm_token", "aws"):
        made.add(events.DecoySent, process=sender, decoy=decoy, token="x", connection=5, host="a.c.test", where="dns")
    stolen = finding(decoys=("npm_token", "aws"), ways_out=("dns a.c.test",))
    (one,), _ = paths_of(made.end(root).recording(), stolen)
    assert one.baits[0].detail == "~/.npmrc"
    assert "no file of it was opened" in one.baits[1].detail
    assert one.steps[0].text.startswith("/usr/bin/cat") and one.steps[-1].text.startswith("/usr/bin/curl")
    assert one.out.text == "dns a.c.test"


def test_what_the_package_manager_sends_to_its_registry_is_no_theft() -> None:
    made = Story()
    root = made.begin("install", "install", ["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install"])
    connect(made, root, "r.test")
    made.add(events.RequestSent, process=root, connection=5, method="GET", url="https://r.test/x", headers=[],
             answered_by="registry")  # fmt: skip
    made.add(events.DecoySent, process=root, decoy="npm_token", token="publish token", connection=5, host="r.test",
             where="header")  # fmt: skip
    recording = made.end(root).recording()
    assert paths_of(recording) == ([], 0)
    assert [path.recognised for path in paths_of(recording, STOLEN)[0]] == [False]
    (request,) = data_of(page_of(recording))["requests"]
    assert request["everyday"] is True


def test_where_only_the_order_is_known_the_path_says_so() -> None:
    read = report.Evidence(at=1, phase="install", process=3, text="opened ~/.npmrc", line=4, program="/bin/node x.js")
    one = finding(rule="decoy_read_then_egress", decoys=("npm_token",), ways_out=("tls c.test:443",), evidence=(read,))
    page = html.page(whole(package("malicious", findings=(one,))))
    assert "It was read, and afterwards bytes went through: /bin/node x.js. Way out: tls c.test:443." in page
    assert "What left could not be read" in page


def test_every_injection_survives_as_text() -> None:
    texts = "\n".join(Skeleton(html.page(hostile_report())).texts)
    for injection in INJECTIONS[:10]:
        assert injection in texts or json.dumps(injection)[1:-1] in texts


def test_data_in_names_is_one_path_and_the_lookup_is_shown() -> None:
    made = Story()
    root = made.begin("install", "install", ["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install"])
    thief = made.child(made.script(root), "/usr/bin/node", ["node", "x.js"])
    for part in ("a" * 30, "b" * 30):
        made.add(events.NameLookedUp, process=thief, name=f"{part}.zone.test", kind="A")
    made.add(events.NameLookedUp, process=thief, name="elsewhere.test", kind="A")
    made.add(events.DecoySent, process=thief, decoy="aws", token="secret access key", connection=0, host="zone.test",
             where="dns", encodings=["hex"])  # fmt: skip
    recording = made.end(root).recording()
    stolen = finding(decoys=("aws",), ways_out=(f"dns {'a' * 30}.zone.test", "dns other.test"))
    assert [path.out.text for path in paths_of(recording, stolen)[0]] == ["dns zone.test", "dns other.test"]
    (request,) = data_of(page_of(recording, findings=(stolen,)))["requests"]
    assert request["url"] == "b" * 30 + ".zone.test" and request["tokens"] == ["aws: secret access key"]


def test_of_several_encoded_stretches_the_one_with_bait_is_shown() -> None:
    token = values(NPM_TOKEN)["publish token"]
    first, second = base64.b64encode(b"other things entirely" * 3), base64.b64encode(f":{token}: zebra".encode())
    views = Decoder().views(b"a=" + first.rstrip(b"=") + b"&b=" + second + b"&c=1", [sent("base64")])
    assert views[1].parts == ((":", ""), (token, "npm_token: publish token"), (": zebra", ""))


def test_nobody_is_framed_by_a_neighbour_in_the_same_guest() -> None:
    made = Story()
    root = made.begin("install", "install", ["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install"])
    for connection, name in ((5, "thief"), (6, "other")):
        process = made.child(made.script(root, name), "/usr/bin/node", ["node", f"{name}.js"])
        made.add(events.ConnectionOpened, process=process, protocol="tcp", address="1.1.1.1", port=443,
                 host=f"{name}.test", connection=connection)  # fmt: skip
        made.add(events.DecoySent, process=process, decoy="aws", token="access key id", connection=connection,
                 host=f"{name}.test", where="data")  # fmt: skip
    recording = made.end(root).recording()
    packages = [
        package("malicious", target=name, recordings=("x",),
                findings=(finding(package=name, decoys=("aws",), ways_out=(f"tcp {name}.test:443",)),))
        for name in ("thief", "other")
    ]  # fmt: skip
    page = html.page(whole(*packages), {"x": recording})
    first, second = page.split('<section id="package-1"')
    assert "tcp thief.test" in first.split("The path of each secret")[1] and "other.test" not in captions(first)
    assert "tcp other.test" in captions(second) and "thief.test" not in captions(second)
