// Which process started which. Branches are made when they are opened: a guest may start thousands of processes.

const MANY = 100;

class Tree {
  constructor(recorded, show) {
    this.recorded = recorded;
    this.show = show;
    this.children = new Map();
    this.events = new Map();
    this.bait = new Map();
    for (const process of recorded.data.processes) {
      const siblings = this.children.get(process.parent);
      if (siblings) siblings.push(process);
      else this.children.set(process.parent, [process]);
    }
    for (let event = 0; event < recorded.size; event += 1) {
      const number = recorded.process[event];
      this.events.set(number, (this.events.get(number) || 0) + 1);
      if (recorded.lane[event] === 2) this.bait.set(number, (this.bait.get(number) || 0) + 1);
    }
    this.telling = new Set();
    for (const number of this.bait.keys()) {
      let process = recorded.processes.get(number);
      while (process && !this.telling.has(process.serial)) {
        this.telling.add(process.serial);
        process = recorded.processes.get(process.parent);
      }
    }
    const roots = recorded.data.processes.filter((process) => !recorded.processes.has(process.parent));
    this.list = this.branch(roots, 0);
    const more = recorded.data.more.processes;
    this.box = el("div", { class: "tree" },
      el("div", { class: "tools" }, button("Open all", () => this.all(true)), button("Close all", () => this.all(false))),
      this.list,
      more ? el("p", { class: "note" }, `${count(more, "more process", "more processes")} left out for size.`) : null);
  }

  branch(processes, depth) {
    const list = el("ul");
    const add = (from) => {
      list.append(...processes.slice(from, from + MANY).map((process) => this.node(process, depth)));
      const rest = processes.length - from - MANY;
      if (rest > 0) {
        const more = el("li", {}, button(`Show ${Math.min(rest, MANY)} of ${rest} more`, () => {
          more.remove();
          add(from + MANY);
        }));
        list.append(more);
      }
    };
    add(0);
    return list;
  }

  node(process, depth) {
    const { recorded } = this;
    const own = this.children.get(process.serial) || [];
    const bait = this.bait.get(process.serial);
    const phase = recorded.texts[process.phase];
    const who = process.role === "package" ? `for ${recorded.texts[process.package]}` : `${process.role}`;
    const summary = el("summary", {},
      el("span", { class: "serial" }, `${process.serial}`), " ",
      el("code", {}, recorded.program(process.serial)), " ",
      el("span", { class: `tag ${process.role}` }, who), " ",
      bait ? el("span", { class: "tag bait" }, `\u25c6 bait: ${bait}`) : null,
      own.length ? el("span", { class: "soft" }, ` ${count(own.length, "child", "children")}`) : null);
    const node = el("details", {}, summary);
    let made = false;
    const fill = () => {
      if (made || !node.open) return;
      made = true;
      const end = process.exited === null ? "its end was not seen" : `exited with ${process.exited}`;
      const facts = [
        phase ? `in ${phase}` : "", `${seconds(process.from)} to ${seconds(process.to)}`, end, `pid ${process.pid}`,
        process.known ? "" : "an orphan when first seen: its parent is inferred",
        process.last !== process.phase ? `still there in ${recorded.texts[process.last] || "no phase"}` : "",
      ];
      node.append(el("div", { class: "about" },
        el("p", {}, facts.filter(Boolean).join("; ")),
        process.programs.length ? el("ol", {}, process.programs.map(([at, text, line]) => el("li", {},
          el("span", { class: "at" }, seconds(at)), " ", el("code", {}, recorded.texts[text]), " ",
          button(`line ${line}`, () => this.show({ line }), { class: "jump" })))) : null,
        process.more ? el("p", { class: "note" }, `and ${count(process.more, "more program")}`) : null,
        button(`Show its ${count(this.events.get(process.serial) || 0, "event")}`,
          () => this.show({ process: process.serial }))));
      if (own.length) node.append(this.branch(own, depth + 1));
    };
    node.addEventListener("toggle", fill);
    if (this.telling.has(process.serial) && depth < 12 && own.length) {
      node.open = true;
      fill();
    }
    return el("li", {}, node);
  }

  // At most some hundreds at once; who wants more opens what is in sight again.
  all(open) {
    let left = 300;
    const visit = (list) => {
      for (const node of list.querySelectorAll(":scope > li > details")) {
        if (left <= 0) return;
        left -= 1;
        node.open = open;
        node.dispatchEvent(new Event("toggle"));
        for (const below of node.querySelectorAll(":scope > ul")) visit(below);
      }
    };
    visit(this.list);
  }
}
