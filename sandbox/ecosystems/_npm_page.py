"""A page's world for code that is written for browsers: just enough for its top level to run in Node."""

from __future__ import annotations

PAGE = """\
{
  const nowhere = new Set([
    "parentNode", "parentElement", "nextSibling", "previousSibling", "nextElementSibling", "previousElementSibling",
    "firstChild", "lastChild", "firstElementChild", "lastElementChild", "frameElement", "opener", "activeElement",
    "fullscreenElement", "offsetParent", "pop", "shift", "exec", "match",
  ]);
  const make = (known = {}) => {
    const own = new Map(Object.entries(known));
    const target = function () { "use strict" };
    const self = new Proxy(target, {
      get(_, key) {
        if (key === "prototype") return target.prototype;
        if (own.has(key)) return own.get(key);
        if (key === Symbol.toPrimitive) return () => "";
        if (key === Symbol.iterator) return [][Symbol.iterator];
        if (typeof key === "symbol" || key === "then") return undefined;
        if (key === "length") return 0;
        return nowhere.has(key) ? null : thing;
      },
      set(_, key, value) { if (key !== "prototype") own.set(key, value); return true },
      has: () => true,
      apply: () => thing,
      construct: (_, words, made) => made === self ? make() : Reflect.construct(target, words, made),
      deleteProperty: (_, key) => { own.delete(key); return true },
    });
    return self;
  };
  const thing = make();
  const place = new URL("http://localhost:3000/");
  const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
  const stored = () => make({ getItem: () => null });
  const page = {
    document: make({
      readyState: "complete", cookie: "", referrer: "", title: "", URL: place.href, baseURI: place.href, hidden: false,
      visibilityState: "visible", location: place,
    }),
    location: place,
    navigator: make({
      userAgent: agent, appVersion: agent.slice(8), appName: "Netscape", platform: "Linux x86_64",
      language: "en-US", languages: ["en-US"], onLine: true, maxTouchPoints: 0,
    }),
    screen: make({ width: 1920, height: 1080 }), innerWidth: 1280, innerHeight: 720, devicePixelRatio: 1,
    localStorage: stored(), sessionStorage: stored(), requestAnimationFrame: () => 0, cancelAnimationFrame: () => {},
    addEventListener: () => {}, removeEventListener: () => {}, getComputedStyle: () => thing,
    matchMedia: () => make({ matches: false }),
  };
  for (const name of ["history", "customElements", "indexedDB", "caches", "visualViewport"]) page[name] = make();
  for (const name of ["window", "self", "parent", "top", "frames"]) page[name] = globalThis;
  for (const [name, value] of Object.entries(page))
    if (!(name in globalThis) || name === "navigator")
      Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  const kinds = [
    /^(?:HTML|SVG|CSS|XML|XPath|DOM|WebGL|GPU|RTC|Media|IDB|Audio|Offline|Speech|Shadow|Touch|Pointer|Canvas)\\w*$/,
    /^[A-Z]\\w*(?:Element|Event|Observer|Collection|List|Reader|Worker|Context|Parser|Range|Rect|Source|Fragment)$/,
    /^(?:Node|Document|Window|Element|Image|Option|Text|Comment|Range|Selection|Worker|Notification|Path2D)$/,
  ];
  const isKind = key => typeof key === "string" && kinds.some(kind => kind.test(key));
  const made = new Map();
  const before = Object.getPrototypeOf(globalThis);
  Object.setPrototypeOf(globalThis, new Proxy(before, {
    has: (_, key) => key in before || isKind(key),
    get(_, key, self) {
      if (key in before || !isKind(key)) return Reflect.get(before, key, self);
      if (!made.has(key)) made.set(key, make());
      return made.get(key);
    },
  }));
} """
"""What stands before a program that loads a package as a page would. Whatever is not named here is a thing that may be
called, made and read without end; what a loop would follow (`nextSibling`) is null. What is called like a kind of thing
in a page (`XPathEvaluator`) is one."""
