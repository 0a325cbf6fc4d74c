"""Code that is written for browsers, loaded by Node in a page that is none."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from sandbox.batches import npm as batch
from sandbox.ecosystems import npm
from sandbox.ecosystems._npm_page import PAGE
from sandbox.plan import Installed, Phase
from tests.npm_artifacts import PROJECT, TOOLS, artifact


def every(manifest: dict[str, object], *files: str) -> list[Phase]:
    found, _notes = npm.ECOSYSTEM.exercise(artifact(manifest, files), Installed(), TOOLS, PROJECT, 60.0)
    return [phase for phase in found if phase.kind == "import"]


def test_what_has_to_load_gets_a_page_where_it_does_not() -> None:
    main, again, page = every({"main": "x.js"}, "x.js")
    assert (main.fallback, again.fallback, page.fallback) == ("", "", "import:pkg")
    assert main.either == again.either == page.either == "import:pkg"
    assert page.name == "import:pkg (import, as in a page)"
    assert PAGE in page.argv[-1]
    assert PAGE not in main.argv[-1]


def test_each_of_two_files_gets_its_own() -> None:
    exports = {".": {"import": "./x.mjs", "require": "./x.cjs"}, "./lib/*": "./lib/*"}
    phases = every({"exports": exports}, "x.mjs", "x.cjs", "lib/y.js")
    assert [(phase.name.removeprefix("import:pkg"), phase.either.removeprefix("import:pkg")) for phase in phases] == [
        (" (require)", " (require)"),
        (" (import)", " (import)"),
        (" (require, as in a page)", " (require)"),
        (" (import, as in a page)", " (import)"),
        ("/lib/y.js (require)", "/lib/y.js (require)"),
        ("/lib/y.js (require, as in a page)", "/lib/y.js (require)"),
    ]


def test_a_batch_has_no_pages() -> None:
    ways, _rest, _notes = npm.ways_in(artifact({"main": "x.js"}, ("x.js",)), frozenset({"x.js"}), [], "20.1.0")
    assert any(way.page for way in ways)
    code = batch._load([way for way in ways if not way.page])
    assert PAGE not in code


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
@pytest.mark.parametrize(
    "text",
    [
        "document.createElement('div').style.color = 'red'",
        "const all = document.querySelectorAll('a'); for (const one of all) throw one; all.forEach(x => { throw x })",
        "for (let at = document.body; at; at = at.parentNode) at.id = 1",
        "class A extends HTMLElement { go() { return 1 } } customElements.define('a-b', A); new A().go() || fail()",
        "const [, v] = /Chrome\\/(\\d+)/.exec(navigator.userAgent); if (!(v > 100)) throw v",
        "if (window !== globalThis || self !== window || window.document !== document) throw 1",
        "if (localStorage.getItem('x') !== null || location.pathname !== '/') throw 1",
        "new MutationObserver(() => {}).observe(document, {}); new Image().src = ''; document.body instanceof Element",
        "const old = window.onload; document.cookie = 'a=b'; if (document.cookie !== 'a=b') throw 1",
        "`${document.title}` + document.body.className.replace('a', 'b').split(' ')",
        "(async () => { await document.fonts; await window.matchMedia('(x)'); })()",
        "Object.keys(document.body.dataset); 'ontouchstart' in window; delete document.all; new Event('x')",
        "new XPathEvaluator().createExpression('.'); class B extends SVGGElement {}; IDBKeyRange.only(1)",
        "typeof Deno + typeof Bun + typeof define + typeof Foo === 'undefined'.repeat(4) || fail()",
        "if (window.ActiveXObject || 'StyleMedia' in window || HTMLElement !== window.HTMLElement) throw 1",
        "addEventListener('load', () => { throw 1 }); requestAnimationFrame(() => { throw 1 })",
        "typeof define === 'undefined' && typeof exports === 'object' || (() => { throw 1 })()",
    ],
)
def test_what_pages_do_at_once_works(text: str) -> None:
    done = subprocess.run(["node", "-e", npm.START + PAGE + text], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
def test_it_is_no_page_for_what_follows() -> None:
    """A child or worker of the loaded package sees Node as it is."""
    text = "require('child_process').execFileSync(process.execPath, ['-e', 'if (globalThis.document) process.exit(9)'])"
    done = subprocess.run(["node", "-e", npm.START + PAGE + text], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
