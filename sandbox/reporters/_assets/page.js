// What the other parts share. Nothing here, or anywhere in this script, makes markup of text: elements are made by name,
// and texts are put in as text nodes. The page's policy (trusted types) forbids the rest.

const el = (name, attributes, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") {
      for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    } else {
      made.setAttribute(key, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) made.append(child);
  }
  return made;
};

const button = (text, act, attributes) => el("button", { type: "button", on: { click: act }, ...attributes }, text);
const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many || one + "s"}`;
const seconds = (at) => `${at.toFixed(3)} s`;
const bytes = (size) => (size < 10000 ? count(size, "byte") : `${(size / 1024).toFixed(size < 1e6 ? 1 : 0)} KiB`);
let serial = 0;
const fresh = (stem) => `${stem}-${(serial += 1)}`;

const LANES = ["file", "network", "bait"];
const laneOf = (kind) => {
  if (kind.startsWith("decoy.") || kind === "endpoint.asked") return 2;
  if (/^(connection|name|tls|request|data|artifact|socket|port)\./.test(kind)) return 1;
  return kind.startsWith("file.") ? 0 : -1;
};

// One recording, as its block of JSON holds it: columns, unpacked once into arrays by event.
class Recorded {
  constructor(data) {
    const columns = data.events;
    const size = columns.kind.length;
    this.data = data;
    this.texts = data.texts;
    this.kinds = columns.kinds;
    this.fields = columns.fields;
    this.values = columns.values;
    this.leftOut = columns.left_out || {};
    this.size = size;
    this.kind = Uint8Array.from(columns.kind);
    this.phase = Uint32Array.from(columns.phase);
    this.process = Uint32Array.from(columns.process);
    this.at = new Float64Array(size);
    this.line = new Uint32Array(size);
    this.start = new Uint32Array(size);
    this.lane = new Int8Array(size);
    this.bait = new Set(data.bait);
    const lanes = this.kinds.map(laneOf);
    let at = 0;
    let line = 0;
    let place = 0;
    let last = 0;
    for (let event = 0; event < size; event += 1) {
      at += columns.times[event];
      line += columns.lines[event];
      this.at[event] = at / 1e6;
      this.line[event] = line;
      this.start[event] = place;
      this.lane[event] = this.bait.has(line) ? 2 : lanes[this.kind[event]];
      place += this.fields[this.kind[event]].length;
      if (this.at[event] > last) last = this.at[event];
    }
    this.end = Math.max(last, 0.001);
    this.processes = new Map(data.processes.map((process) => [process.serial, process]));
  }

  // The event of a line of the recording, or -1 where it was left out.
  eventOf(line) {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.line[middle] < line) low = middle + 1;
      else high = middle;
    }
    return low < this.size && this.line[low] === line ? low : -1;
  }

  // Names and values of an event's fields.
  details(event) {
    const place = this.start[event];
    return this.fields[this.kind[event]].map(([name, sort], number) => {
      const value = this.values[place + number];
      return [name, sort === "s" ? this.texts[value] : sort === "b" ? (value ? "yes" : "no") : String(value)];
    });
  }

  // An event in one line: what is not empty, nor the usual.
  words(event) {
    return this.details(event)
      .filter(([, value]) => value !== "" && value !== "no" && value !== "0")
      .map(([name, value]) => `${name}=${value}`)
      .join("  ");
  }

  // What a process ran last.
  program(serialNumber) {
    const process = this.processes.get(serialNumber);
    if (!process) return serialNumber ? "a process that is not listed" : "nobody saw which process";
    const last = process.programs[process.programs.length - 1];
    return last ? this.texts[last[1]] : "(its maker's program)";
  }
}
