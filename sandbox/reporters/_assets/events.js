// Every event as it was recorded, to be filtered by kind, phase, process and text.

class Events {
  constructor(recorded) {
    this.recorded = recorded;
    this.list = new RowList("Events", 5, (row, number) => this.cells(row, number), (number) => this.choose(number));
    this.matching = new Uint32Array(0);
    this.build();
    this.filter();
  }

  build() {
    const { recorded } = this;
    const kinds = new Map();
    const phases = new Map();
    for (let event = 0; event < recorded.size; event += 1) {
      kinds.set(recorded.kind[event], (kinds.get(recorded.kind[event]) || 0) + 1);
      phases.set(recorded.phase[event], true);
    }
    const change = () => this.filter();
    const option = (value, text) => el("option", { value }, text);
    this.kind = el("select", { on: { change } }, option("", "all"), option("lane-0", "files"), option("lane-1", "network"),
      option("lane-2", "bait"), [...kinds].sort((a, b) => b[1] - a[1])
        .map(([kind, many]) => option(kind, `${recorded.kinds[kind]} (${many.toLocaleString("en")})`)));
    this.phase = el("select", { on: { change } }, option("", "all"),
      [...phases.keys()].map((phase) => option(phase, recorded.texts[phase] || "(between phases)")));
    this.process = el("input", { type: "number", min: 0, inputmode: "numeric", on: { input: change } });
    this.text = el("input", { type: "search", autocomplete: "off", spellcheck: "false", on: {
      input: () => {
        clearTimeout(this.later);
        this.later = setTimeout(change, 120);
      },
    } });
    this.evidence = el("input", { type: "checkbox", on: { change } });
    const label = (name, control) => el("label", {}, `${name} `, control);
    this.status = el("p", { class: "count", role: "status" });
    this.detail = el("div", { class: "detail", role: "region", "aria-label": "The chosen event", "aria-live": "polite" },
      el("p", { class: "note" }, "Choose an event to see all of it."));
    const left = Object.entries(recorded.leftOut);
    const total = left.reduce((sum, [, many]) => sum + many, 0);
    this.box = el("div", { class: "events" },
      total ? el("p", { class: "note warning" }, `${count(total, "event")} of ${recorded.data.total.toLocaleString("en")} left out `
        + `for size, the least telling first: ${left.map(([kind, many]) => `${kind} ${many.toLocaleString("en")}`).join(", ")}. `
        + "The recording has them all (baitbox show --all).") : null,
      el("div", { class: "filters" }, label("Kind", this.kind), label("Phase", this.phase), label("Process", this.process),
        label("Text", this.text), el("label", {}, this.evidence, " only evidence of findings"),
        button("Show all", () => this.show({}))),
      this.status, this.list.box, this.detail);
  }

  // The texts that hold what is looked for, as marks by number.
  found(wanted) {
    const { texts } = this.recorded;
    this.lowered = this.lowered || texts.map((text) => text.toLowerCase());
    const marks = new Uint8Array(texts.length);
    this.lowered.forEach((text, number) => {
      if (text.includes(wanted)) marks[number] = 1;
    });
    return marks;
  }

  filter() {
    const { recorded } = this;
    const wanted = this.text.value.trim().toLowerCase();
    const texts = wanted ? this.found(wanted) : null;
    const kindNames = wanted ? recorded.kinds.map((name) => name.includes(wanted)) : null;
    const lane = this.kind.value.startsWith("lane-") ? Number(this.kind.value.slice(5)) : -1;
    const kind = this.kind.value === "" || lane >= 0 ? -1 : Number(this.kind.value);
    const phase = this.phase.value === "" ? -1 : Number(this.phase.value);
    const process = this.process.value === "" ? -1 : Number(this.process.value);
    const evidence = this.evidence.checked ? recorded.data.evidence : null;
    const matching = new Uint32Array(recorded.size);
    let used = 0;
    for (let event = 0; event < recorded.size; event += 1) {
      if (kind >= 0 && recorded.kind[event] !== kind) continue;
      if (lane >= 0 && recorded.lane[event] !== lane) continue;
      if (phase >= 0 && recorded.phase[event] !== phase) continue;
      if (process >= 0 && recorded.process[event] !== process) continue;
      if (evidence && !(recorded.line[event] in evidence)) continue;
      if (texts && !kindNames[recorded.kind[event]] && !this.holds(event, texts)) continue;
      matching[used] = event;
      used += 1;
    }
    this.matching = matching.subarray(0, used);
    this.status.textContent = `${count(used, "event")} of ${recorded.data.total.toLocaleString("en")}`;
    this.list.active = -1;
    this.list.box.scrollTop = 0;
    this.list.fill(used);
  }

  holds(event, texts) {
    const { recorded } = this;
    const fields = recorded.fields[recorded.kind[event]];
    const place = recorded.start[event];
    for (let field = 0; field < fields.length; field += 1) {
      if (fields[field][1] === "s" && texts[recorded.values[place + field]]) return true;
    }
    return false;
  }

  cells(row, number) {
    const { recorded } = this;
    const event = this.matching[number];
    const bait = recorded.lane[event] === 2;
    row.classList.toggle("baited", bait);
    const cell = (kind, text) => el("span", { role: "gridcell", class: kind }, text);
    return [
      cell("at", recorded.at[event].toFixed(3)),
      cell("kind", `${bait ? "\u25c6 " : ""}${recorded.kinds[recorded.kind[event]]}`),
      cell("process", recorded.process[event] || "-"),
      cell("phase", recorded.texts[recorded.phase[event]] || "-"),
      cell("words", recorded.words(event)),
    ];
  }

  choose(number) {
    const { recorded } = this;
    const event = this.matching[number];
    const line = recorded.line[event];
    const rows = [
      ["line", String(line)], ["at", seconds(recorded.at[event])], ["phase", recorded.texts[recorded.phase[event]]],
      ["process", `${recorded.process[event]}: ${recorded.program(recorded.process[event])}`],
      ...recorded.details(event),
    ];
    const findings = recorded.data.evidence[line] || [];
    this.detail.replaceChildren(
      el("h5", {}, recorded.kinds[recorded.kind[event]]),
      findings.length ? el("p", {}, el("strong", {}, "Evidence of: "), findings.join("; ")) : "",
      el("dl", { class: "facts" }, rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
  }

  // Show one process's events, or one line; where it was left out, say so.
  show({ process, line }) {
    this.kind.value = "";
    this.phase.value = "";
    this.process.value = process === undefined ? "" : process;
    this.text.value = "";
    this.evidence.checked = false;
    this.filter();
    if (line !== undefined) {
      const event = this.recorded.eventOf(line);
      if (event < 0) this.status.textContent = `Line ${line} was left out for size.`;
      else this.list.select(event);
    }
  }
}
