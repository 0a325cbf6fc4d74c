// A list of any length of which only what is in sight is in the document. Rows have one height; the list is one stop of
// the keyboard, and arrows, Page Up, Page Down, Home and End move within it.

class RowList {
  // `draw(row, number)` gives the cells of a row; `choose(number)` is told which row was chosen.
  constructor(label, columns, draw, choose) {
    this.draw = draw;
    this.choose = choose;
    this.size = 0;
    this.active = -1;
    this.shown = new Map();
    this.space = el("div", { class: "space", role: "presentation" });
    this.box = el("div", {
      class: "rows", role: "grid", tabindex: 0, "aria-label": label, "aria-colcount": columns, "aria-readonly": "true",
      on: {
        scroll: () => this.paint(),
        keydown: (event) => this.key(event),
        click: (event) => this.click(event),
      },
    }, this.space);
    this.identity = fresh("row");
    if (window.ResizeObserver) new ResizeObserver(() => this.paint()).observe(this.box);
  }

  get height() {
    if (!this.rowHeight) {
      const probe = el("div", { class: "row" }, "x");
      this.space.append(probe);
      this.rowHeight = probe.getBoundingClientRect().height;
      probe.remove();
    }
    return this.rowHeight || 26;
  }

  fill(size) {
    this.size = size;
    this.active = Math.min(this.active, size - 1);
    this.box.setAttribute("aria-rowcount", size);
    // Browsers end at some millions of pixels; beyond them the scroll bar is a little coarser than a row.
    this.scale = Math.max(1, (size * this.height) / 8e6);
    this.space.style.height = `${(size * this.height) / this.scale}px`;
    this.clear();
    this.paint();
  }

  clear() {
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
  }

  paint() {
    if (!this.box.isConnected || !this.box.clientHeight) return;
    const height = this.height;
    const top = this.box.scrollTop * this.scale;
    const first = Math.max(0, Math.floor(top / height) - 4);
    const last = Math.min(this.size, Math.ceil((top + this.box.clientHeight) / height) + 4);
    for (const [number, row] of this.shown) {
      if (number < first || number >= last) {
        row.remove();
        this.shown.delete(number);
      }
    }
    for (let number = first; number < last; number += 1) {
      let row = this.shown.get(number);
      if (!row) {
        row = el("div", { class: "row", role: "row", id: `${this.identity}-${number}`, "aria-rowindex": number + 1 });
        row.dataset.number = number;
        row.append(...this.draw(row, number));
        this.shown.set(number, row);
        this.space.append(row);
      }
      row.style.transform = `translateY(${number * height - top + this.box.scrollTop}px)`;
      row.classList.toggle("active", number === this.active);
      row.setAttribute("aria-selected", number === this.active);
    }
    if (this.shown.has(this.active)) this.box.setAttribute("aria-activedescendant", `${this.identity}-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  select(number, quiet) {
    if (!this.size) return;
    this.active = Math.max(0, Math.min(this.size - 1, number));
    const top = this.active * this.height;
    const seen = this.box.scrollTop * this.scale;
    if (top < seen) this.box.scrollTop = top / this.scale;
    else if (top + this.height > seen + this.box.clientHeight) {
      this.box.scrollTop = (top + this.height - this.box.clientHeight) / this.scale + (this.scale > 1 ? 1 : 0);
    }
    this.paint();
    if (!quiet) this.choose(this.active);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 1);
    const moves = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
      PageUp: this.active - page, Home: 0, End: this.size - 1,
    };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.select(moves[event.key]);
  }

  click(event) {
    const row = event.target.closest(".row");
    if (row) this.select(Number(row.dataset.number));
  }
}
