// What was sent, file by file and layer by layer, what was left behind, and what was printed.

const layer = (view) => {
  const encodings = view.encodings || [];
  const name = encodings.length ? `Under ${encodings.join(", then ")}` : "As it left";
  const parts = (view.parts || []).map(([text, bait]) => (bait
    ? el("mark", {}, el("b", { class: "token" }, `\u25c6 ${bait}`), " ", text) : text));
  const marked = (view.parts || []).some(([, bait]) => bait);
  const tokens = view.tokens || [];
  return el("figure", { class: "layer" },
    el("figcaption", {}, name),
    tokens.length ? el("p", { class: "note" }, `Recognised here: ${tokens.join(", ")}.`
      + (marked ? " What is marked has the form of a token; a recording holds no values of tokens."
        : " Where exactly does not show: a recording holds no values of tokens.")) : null,
    view.note ? el("p", { class: "note" }, view.note) : null,
    parts.length ? el("pre", { tabindex: 0, role: "group", "aria-label": name }, parts) : null,
    view.left_out ? el("p", { class: "note" }, `${count(view.left_out, "character")} left out here.`) : null);
};

const request = (recorded, one, show) => {
  const rows = [
    ["when", `${seconds(one.at)}${recorded.texts[one.phase] ? `, in ${recorded.texts[one.phase]}` : ""}`],
    ["by", `process ${one.process}: ${recorded.texts[one.program] || recorded.program(one.process)}`],
    ["to", one.place],
    ["size", `${bytes(one.size)}${one.kept < one.size ? `, of which the first ${bytes(one.kept)} were recorded` : ""}`],
    ["answered", one.status === undefined ? "" : `${one.status}, ${
      !one.answered || one.answered === "empty" ? "with a plausible nothing" : `by the ${one.answered}`}`],
  ];
  const node = el("details", { class: one.tokens.length && !one.everyday ? "request baited" : "request" },
    el("summary", {}, el("strong", {}, one.method), " ", el("code", {}, one.url), " ",
      one.tokens.length ? el("span", { class: one.everyday ? "tag" : "tag bait" }, one.everyday
        ? "with the package manager's own token" : `\u25c6 bait: ${one.tokens.length}`) : null, " ",
      el("span", { class: "soft" }, bytes(one.size))));
  let made = false;
  const fill = () => {
    if (made || !node.open) return;
    made = true;
    node.append(el("div", { class: "about" },
      one.tokens.length ? el("p", {}, el("strong", {}, "Bait in it: "), one.tokens.join(", ")) : null,
      el("dl", { class: "facts" }, rows.filter(([, value]) => value)
        .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
      button(`line ${one.line}`, () => show({ line: one.line }), { class: "jump" }),
      [["Address", one.address], ["Headers", one.headers], ["Body", one.body]].map(([name, views]) => (views && views.length
        ? [el("h5", {}, name), views.map(layer)] : null))));
  };
  node.addEventListener("toggle", fill);
  if (one.tokens.length && !one.everyday) {
    node.open = true;
    fill();
  }
  return node;
};

const requests = (recorded, show) => {
  const all = recorded.data.requests;
  const telling = all.filter((one) => !one.everyday);
  const registry = all.filter((one) => one.everyday);
  const box = el("div", { class: "requests" });
  const add = (many, from) => {
    many.slice(from, from + MANY).forEach((one, place) => {
      const node = request(recorded, one, show);
      if (place + from >= 5) node.open = false;
      box.append(node);
    });
    const rest = many.length - from - MANY;
    if (rest > 0) {
      const more = button(`Show ${Math.min(rest, MANY)} of ${rest} more`, () => {
        more.remove();
        add(many, from + MANY);
      });
      box.append(more);
    }
  };
  if (telling.length) add(telling, 0);
  else box.append(el("p", {}, "Nothing was sent to anybody but the registry."));
  if (registry.length) {
    const more = button(`Also show ${count(registry.length, "everyday request")} that the registry answered`, () => {
      more.remove();
      add(registry, 0);
    });
    box.append(more);
  }
  const left = recorded.data.more.requests;
  if (left) box.append(el("p", { class: "note" }, `${count(left, "more request")} left out for size.`));
  return box;
};

const table = (label, head, rows) => el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label },
  el("table", {}, el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))))));

const pages = (many, draw) => {
  const box = el("div");
  const add = (from) => {
    box.append(draw(many.slice(from, from + MANY)));
    const rest = many.length - from - MANY;
    if (rest > 0) {
      const more = button(`Show ${Math.min(rest, MANY)} of ${rest} more`, () => {
        more.remove();
        add(from + MANY);
      });
      box.append(more);
    }
  };
  add(0);
  return box;
};

const files = (recorded, show) => {
  const { files: made, served, more } = recorded.data;
  const box = el("div", { class: "files" });
  if (made.length) {
    box.append(pages(made, (some) => table("Files made or changed", ["path", "where", "what", "by", "line"], some.map((one) => [
      [el("code", {}, one.path), one.finding ? el("span", { class: "tag malicious" }, "in a finding") : null,
        one.run ? el("span", { class: "tag suspicious" }, "was run") : null],
      one.place, one.deeds.join(", "), `process ${one.process}`,
      button(`line ${one.line}`, () => show({ line: one.line }), { class: "jump" }),
    ]))));
    box.append(el("p", { class: "note" }, "What the package's own processes made or changed. What these files held was not "
      + "recorded, and so no hashes of them."));
  } else box.append(el("p", {}, "The package's own processes made and changed no files."));
  if (more.files) box.append(el("p", { class: "note" }, `${count(more.files, "more file")} left out for size.`));
  if (served.length) {
    box.append(el("details", {}, el("summary", {}, `Package files that the registry gave, with digests: ${served.length}`
      + (more.served ? ` of ${served.length + more.served}` : "")),
    pages(served, (some) => table("Package files", ["address", "digest", "size"],
      some.map(([url, digest, size]) => [el("code", {}, url), el("code", {}, digest), bytes(size)])))));
  }
  return box;
};

const output = (recorded) => el("div", { class: "output" },
  recorded.data.output.length ? recorded.data.output.map((one) => el("details", {},
    el("summary", {}, `${one.phase || "no phase"}: ${one.stream}, ${bytes(one.size)}`),
    el("pre", { tabindex: 0, role: "group", "aria-label": `${one.phase} ${one.stream}` }, one.text),
    one.shown < one.size ? el("p", { class: "note" }, `The first ${bytes(one.shown)}.`) : null))
    : el("p", {}, "Nothing was printed."));
