// Who did what when: a row for each process, in it a lane each for files, network and bait. Drawn on a canvas the size of
// what is in sight, so that the number of events and processes does not matter.

const ROW = 46;
const AXIS = 34;

class Timeline {
  constructor(recorded, show) {
    this.recorded = recorded;
    this.show = show;
    this.from = 0;
    this.to = recorded.end;
    this.row = -1;
    this.pointers = new Map();
    this.rows = this.arrange();
    this.telling = [];
    for (let event = 0; event < recorded.size; event += 1) if (recorded.lane[event] === 2) this.telling.push(event);
    this.build();
  }

  // Rows in the order of the process tree, each with its events by time.
  arrange() {
    const { recorded } = this;
    const sizes = new Map();
    for (let event = 0; event < recorded.size; event += 1) {
      if (recorded.lane[event] >= 0) sizes.set(recorded.process[event], (sizes.get(recorded.process[event]) || 0) + 1);
    }
    const events = new Map([...sizes].map(([process, size]) => [process, { list: new Uint32Array(size), used: 0 }]));
    for (let event = 0; event < recorded.size; event += 1) {
      if (recorded.lane[event] < 0) continue;
      const own = events.get(recorded.process[event]);
      own.list[own.used] = event;
      own.used += 1;
    }
    const byTime = (a, b) => recorded.at[a] - recorded.at[b];
    for (const { list } of events.values()) {
      for (let place = 1; place < list.length; place += 1) {
        if (recorded.at[list[place - 1]] > recorded.at[list[place]]) {
          list.sort(byTime);
          break;
        }
      }
    }
    const children = new Map();
    for (const process of recorded.data.processes) {
      const siblings = children.get(process.parent);
      if (siblings) siblings.push(process.serial);
      else children.set(process.parent, [process.serial]);
    }
    const order = [];
    const seen = new Set();
    const roots = recorded.data.processes.filter((process) => !recorded.processes.has(process.parent));
    const pending = roots.map((process) => [process.serial, 0]).reverse();
    while (pending.length) {
      const [number, depth] = pending.pop();
      if (seen.has(number)) continue;
      seen.add(number);
      order.push([number, depth]);
      for (const child of (children.get(number) || []).slice().reverse()) pending.push([child, depth + 1]);
    }
    for (const number of events.keys()) if (!seen.has(number)) order.push([number, 0]);
    return order.map(([number, depth]) => ({ number, depth, events: events.has(number) ? events.get(number).list : [] }));
  }

  build() {
    const { recorded } = this;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    const height = this.rows.length * ROW + AXIS;
    this.space = el("div", { class: "space" }, this.canvas);
    this.space.style.height = `${height}px`;
    this.hint = fresh("keys");
    this.view = el("div", {
      class: "view", tabindex: 0, role: "application", "aria-label": "Timeline", "aria-roledescription": "timeline",
      "aria-describedby": this.hint,
      on: {
        scroll: () => this.draw(),
        keydown: (event) => this.key(event),
        wheel: (event) => this.wheel(event),
        pointerdown: (event) => this.down(event),
        pointermove: (event) => this.move(event),
        pointerup: (event) => this.up(event),
        pointercancel: (event) => this.up(event),
        dblclick: (event) => this.zoom(0.4, this.timeAt(event)),
      },
    }, this.space);
    this.view.style.height = `${Math.min(height, 420)}px`;
    this.status = el("p", { class: "status", role: "status" });
    const tools = el("div", { class: "tools", role: "toolbar", "aria-label": "Timeline" },
      button("Zoom in", () => this.zoom(0.5)),
      button("Zoom out", () => this.zoom(2)),
      button("Earlier", () => this.pan(-0.3)),
      button("Later", () => this.pan(0.3)),
      button("All", () => this.set(0, recorded.end)),
      this.telling.length ? [button("Previous bait", () => this.step(-1)), button("Next bait", () => this.step(1))] : null,
      button("Events of this process", () => this.enter()),
    );
    const legend = el("ul", { class: "legend" },
      LANES.map((lane) => el("li", {}, el("span", { class: `swatch ${lane}`, "aria-hidden": "true" }),
        { file: "f: files, upper lane", network: "n: network, middle lane", bait: "b: bait, lower lane, as diamonds" }[lane])));
    const keys = el("p", { class: "note", id: this.hint },
      "Drag or swipe to move, pinch or Ctrl and wheel to zoom. With the keyboard: + and - zoom, left and right move, up and "
      + "down choose a process, n and p go to the next and previous bait, 0 shows all, Enter lists a process's events.");
    this.box = el("div", { class: "timeline" }, tools, legend, this.view, this.status, keys);
    new ResizeObserver(() => this.draw()).observe(this.view);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    document.addEventListener("themechange", () => this.draw());
  }

  get width() {
    return Math.max(50, this.view.clientWidth);
  }

  timeAt(event) {
    const x = event.clientX - this.view.getBoundingClientRect().left;
    return this.from + (x / this.width) * (this.to - this.from);
  }

  set(from, to, quiet) {
    const { end } = this.recorded;
    const span = Math.max(1e-4, Math.min(end, to - from));
    this.from = Math.max(0, Math.min(end - span, from));
    this.to = this.from + span;
    this.draw();
    if (!quiet) this.tell();
  }

  zoom(factor, around) {
    const centre = around === undefined ? (this.from + this.to) / 2 : around;
    this.set(centre - (centre - this.from) * factor, centre + (this.to - centre) * factor);
  }

  pan(part) {
    const by = (this.to - this.from) * part;
    this.set(this.from + by, this.to + by);
  }

  // Go to the next bait in some direction, from the one told last.
  step(direction) {
    if (!this.telling.length) return;
    this.place = ((this.place === undefined ? (direction > 0 ? -1 : 0) : this.place) + direction + this.telling.length)
      % this.telling.length;
    const event = this.telling[this.place];
    const half = Math.min(this.to - this.from, this.recorded.end / 4) / 2;
    const at = this.recorded.at[event];
    this.choose(this.rows.findIndex((row) => row.number === this.recorded.process[event]), true);
    this.set(at - half, at + half, true);
    this.status.textContent = `Bait ${this.place + 1} of ${this.telling.length}: ${this.sentence(event)}`;
  }

  sentence(event) {
    const { recorded } = this;
    return `${seconds(recorded.at[event])}, ${recorded.kinds[recorded.kind[event]]}, ${recorded.words(event)}`
      + ` [line ${recorded.line[event]}]`;
  }

  choose(row, quiet) {
    if (row < 0 || row >= this.rows.length) return;
    this.row = row;
    const top = row * ROW;
    const room = this.view.clientHeight - AXIS - ROW;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (top > this.view.scrollTop + room) this.view.scrollTop = top - room;
    this.draw();
    if (!quiet) this.tell();
  }

  enter() {
    if (this.row >= 0) this.show({ process: this.rows[this.row].number });
    else this.status.textContent = "Choose a process first: click its row, or use the up and down keys.";
  }

  tell() {
    const { recorded } = this;
    let seen = 0;
    for (let event = 0; event < recorded.size; event += 1) {
      if (recorded.at[event] >= this.from && recorded.at[event] <= this.to && recorded.lane[event] >= 0) seen += 1;
    }
    const row = this.rows[this.row];
    const who = row ? ` Process ${row.number}: ${recorded.program(row.number)}; ${count(row.events.length, "event")}.` : "";
    this.status.textContent = `${seconds(this.from)} to ${seconds(this.to)}: ${count(seen, "event")} in the lanes.${who}`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), _: () => this.zoom(2),
      ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2),
      ArrowUp: () => this.choose(Math.max(0, this.row - 1)), ArrowDown: () => this.choose(this.row + 1),
      Home: () => this.set(0, this.to - this.from), End: () => this.set(this.recorded.end, this.recorded.end + this.to - this.from),
      0: () => this.set(0, this.recorded.end), n: () => this.step(1), p: () => this.step(-1), Enter: () => this.enter(),
    };
    if (!(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  }

  wheel(event) {
    if (event.ctrlKey) {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(event));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.pan((event.deltaX || event.deltaY) / this.width);
    }
  }

  down(event) {
    this.pointers.set(event.pointerId, event.clientX);
    this.moved = 0;
    if (event.pointerType === "mouse") this.view.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.pointers.has(event.pointerId)) return;
    const spread = () => {
      const [a, b] = [...this.pointers.values()];
      return Math.max(10, Math.abs(a - b));
    };
    const before = this.pointers.size === 2 ? spread() : 0;
    const by = event.clientX - this.pointers.get(event.pointerId);
    this.pointers.set(event.pointerId, event.clientX);
    this.moved += Math.abs(by);
    if (this.pointers.size === 2) this.zoom(before / spread(), this.timeAt(event));
    else if (this.moved > 3) {
      const shift = (-by / this.width) * (this.to - this.from);
      this.set(this.from + shift, this.to + shift, true);
    }
  }

  up(event) {
    const single = this.pointers.size === 1;
    this.pointers.delete(event.pointerId);
    if (!single || event.type === "pointercancel") return;
    if (this.moved > 3) this.tell();
    else this.pick(event);
  }

  // A click chooses the row, and tells the event nearest to it.
  pick(event) {
    const y = event.clientY - this.view.getBoundingClientRect().top + this.view.scrollTop - AXIS;
    const row = Math.floor(y / ROW);
    if (row < 0 || row >= this.rows.length) return;
    this.choose(row);
    const at = this.timeAt(event);
    const near = ((this.to - this.from) / this.width) * 8;
    let best = -1;
    let score = near;
    for (const candidate of this.rows[row].events) {
      const distance = Math.abs(this.recorded.at[candidate] - at) - (this.recorded.lane[candidate] === 2 ? near / 2 : 0);
      if (distance < score) [best, score] = [candidate, distance];
    }
    if (best >= 0) this.status.textContent = `Process ${this.rows[row].number}: ${this.sentence(best)}`;
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const width = this.width;
    const height = this.view.clientHeight;
    if (!height) return;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    const style = getComputedStyle(this.box);
    const colour = (name) => style.getPropertyValue(name).trim();
    const colours = {
      text: colour("--text"), soft: colour("--soft"), line: colour("--line"), ground: colour("--ground"),
      chosen: colour("--chosen"), lanes: LANES.map((lane) => colour(`--lane-${lane}`)), band: colour("--band"),
    };
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.ground;
    pen.fillRect(0, 0, width, height);
    const x = (at) => ((at - this.from) / (this.to - this.from)) * width;
    const top = this.view.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW));
    const last = Math.min(this.rows.length, Math.ceil((top + height) / ROW));
    for (let row = first; row < last; row += 1) this.paintRow(pen, row, AXIS + row * ROW - top, x, width, colours);
    this.paintAxis(pen, x, width, colours);
  }

  paintRow(pen, number, y, x, width, colours) {
    const row = this.rows[number];
    const { recorded } = this;
    if (number === this.row) {
      pen.fillStyle = colours.chosen;
      pen.fillRect(0, y, width, ROW - 2);
    }
    const process = recorded.processes.get(row.number);
    if (process) {
      const begin = Math.max(0, x(process.from));
      pen.fillStyle = colours.band;
      pen.fillRect(begin, y + 17, Math.max(1, Math.min(width, x(process.to)) - begin), 25);
    }
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = colours.text;
    pen.textBaseline = "alphabetic";
    const indent = Math.min(row.depth, 8) * 8 + 4;
    const letters = Math.max(8, Math.floor((width - indent) / 6.5));
    pen.fillText(`${row.number}  ${recorded.program(row.number)}`.slice(0, letters), indent, y + 13);
    const from = lower(row.events, recorded.at, this.from);
    const reached = [-9, -9, -9];
    for (let place = from; place < row.events.length; place += 1) {
      const event = row.events[place];
      const at = recorded.at[event];
      if (at > this.to) break;
      const lane = recorded.lane[event];
      const spot = Math.round(x(at));
      if (spot - reached[lane] < (lane === 2 ? 3 : 1)) continue;
      reached[lane] = spot;
      pen.fillStyle = colours.lanes[lane];
      const middle = y + 21 + lane * 9;
      if (lane === 2) {
        pen.beginPath();
        pen.moveTo(spot, middle - 5);
        pen.lineTo(spot + 5, middle);
        pen.lineTo(spot, middle + 5);
        pen.lineTo(spot - 5, middle);
        pen.fill();
      } else pen.fillRect(spot, middle - 3, lane === 1 ? 2 : 1, 6);
    }
    pen.fillStyle = colours.line;
    pen.fillRect(0, y + ROW - 2, width, 1);
    pen.font = "8px system-ui, sans-serif";
    pen.fillStyle = colours.soft;
    ["f", "n", "b"].forEach((letter, lane) => pen.fillText(letter, 1, y + 24 + lane * 9));
  }

  paintAxis(pen, x, width, colours) {
    pen.fillStyle = colours.ground;
    pen.fillRect(0, 0, width, AXIS);
    pen.fillStyle = colours.line;
    pen.fillRect(0, AXIS - 1, width, 1);
    pen.font = "11px system-ui, sans-serif";
    const span = this.to - this.from;
    const rough = (span / width) * 90;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    for (let tick = Math.ceil(this.from / step); tick * step <= this.to; tick += 1) {
      const spot = x(tick * step);
      pen.fillStyle = colours.line;
      pen.fillRect(spot, AXIS - 6, 1, 6);
      pen.fillStyle = colours.soft;
      const label = `${(tick * step).toFixed(digits)} s`;
      pen.fillText(label, Math.min(Math.max(0, spot - 12), width - pen.measureText(label).width), AXIS - 9);
    }
    let free = 0;
    pen.fillStyle = colours.text;
    for (const [name, at] of this.recorded.data.phases) {
      const spot = Math.max(0, x(at));
      if (spot > width || (at < this.from && this.nextPhase(at) <= this.from)) continue;
      pen.fillRect(spot, 0, 1, 12);
      const label = name.length > 28 ? `${name.slice(0, 25)}...` : name;
      const size = pen.measureText(label).width;
      if (spot + 4 < free || spot + 4 + size > width) continue;
      pen.fillText(label, spot + 4, 10);
      free = spot + 12 + size;
    }
  }

  nextPhase(at) {
    const next = this.recorded.data.phases.find(([, begins]) => begins > at);
    return next ? next[1] : Infinity;
  }
}

const lower = (events, at, from) => {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[events[middle]] < from) low = middle + 1;
    else high = middle;
  }
  return low;
};
