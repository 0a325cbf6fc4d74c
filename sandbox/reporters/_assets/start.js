// Puts the parts into the page when they are wanted: at once for a single package, when it is opened for several.

const draw = (place) => {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const block = document.getElementById(place.dataset.recording);
  const recorded = new Recorded(JSON.parse(block.textContent));
  const events = new Events(recorded);
  const show = (what) => {
    events.show(what);
    eventsTitle.scrollIntoView({ block: "start" });
    events.list.box.focus({ preventScroll: true });
  };
  place.show = show;
  place.recorded = recorded;
  const title = (text) => el("h4", {}, text);
  const eventsTitle = title("Events");
  place.append(
    title("Requests and what they carried"), requests(recorded, show),
    title("Timeline"), new Timeline(recorded, show).box,
    title("Processes"), new Tree(recorded, show).box,
    title("Files left behind"), files(recorded, show),
    title("What was printed"), output(recorded),
    eventsTitle, events.box);
  requestAnimationFrame(() => events.filter());
};

const drawIn = (part) => part.querySelectorAll(".recording").forEach((place) => {
  try {
    draw(place);
  } catch (error) {
    place.append(el("p", { class: "note warning" }, `This recording cannot be shown: ${error.message}`));
  }
});

const foldedIn = (section) => section.classList.contains("folded") && section.querySelector(":scope > details");

const openTarget = () => {
  const target = /^#package-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
  if (!target) return;
  const folded = foldedIn(target);
  if (folded) folded.open = true;
  target.scrollIntoView();
};

// The recordings of a section: its own, and those that it shares with another, which has them.
const recordingsOf = (section) => [...section.querySelectorAll(".recording, [data-elsewhere]")].map((one) => (
  one.dataset.elsewhere ? document.querySelector(`.recording[data-recording="${CSS.escape(one.dataset.elsewhere)}"]`) : one));

const setUpEvidence = () => {
  for (const section of document.querySelectorAll("section.package")) {
    const places = recordingsOf(section);
    if (!places.length) continue;
    for (const jump of section.querySelectorAll("button[data-line]")) {
      jump.disabled = false;
      jump.setAttribute("aria-label", `${jump.textContent}: show this event`);
      jump.addEventListener("click", () => {
        const line = Number(jump.dataset.line);
        for (const place of places) {
          const folded = foldedIn(place.closest("section"));
          if (folded) folded.open = true;
          drawIn(place.parentElement);
        }
        const own = places.find((place) => place.recorded && line in place.recorded.data.evidence) || places[0];
        if (own.show) own.show({ line });
      });
    }
  }
};

const setUpIndex = () => {
  const index = document.getElementById("index");
  if (!index) return;
  const body = index.querySelector("table.index > tbody");
  const rows = [...body.rows];
  const boxes = [...index.querySelectorAll("[data-filter=verdict]")];
  const text = index.querySelector("[data-filter=text]");
  const status = index.querySelector(".count");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filter = () => {
    const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !verdicts.has(row.dataset.verdict) || !texts.get(row).includes(wanted);
      if (!row.hidden) shown += 1;
    }
    status.textContent = `${shown} of ${count(rows.length, "package")}`;
  };
  for (const control of [...boxes, text]) control.addEventListener("input", filter);
  for (const sorter of index.querySelectorAll("button[data-sort]")) {
    sorter.addEventListener("click", () => {
      const column = Number(sorter.dataset.sort);
      const head = sorter.closest("th");
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of index.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        const value = cell.dataset.value === undefined ? cell.textContent : cell.dataset.value;
        return column === 1 || column === 2 ? value.toLowerCase() : Number(value);
      };
      const keys = new Map(rows.map((row) => [row, key(row)]));
      rows.sort((a, b) => (keys.get(a) < keys.get(b) ? -1 : keys.get(a) > keys.get(b) ? 1 : 0) * (down ? -1 : 1));
      body.append(...rows);
    });
  }
};

const setUpTheme = () => {
  const names = ["as the system", "light", "dark"];
  const theme = document.getElementById("theme");
  let chosen = 0;
  theme.addEventListener("click", () => {
    chosen = (chosen + 1) % names.length;
    if (chosen) document.documentElement.dataset.theme = names[chosen];
    else delete document.documentElement.dataset.theme;
    theme.textContent = `Theme: ${names[chosen]}`;
    document.dispatchEvent(new Event("themechange"));
  });
};

document.documentElement.classList.add("scripted");
setUpTheme();
setUpIndex();
setUpEvidence();
for (const section of document.querySelectorAll("section.package")) {
  const folded = foldedIn(section);
  if (!folded) drawIn(section);
  else folded.addEventListener("toggle", () => folded.open && drawIn(section));
  if (folded && folded.open) drawIn(section);
}
window.addEventListener("hashchange", openTarget);
openTarget();

// Paper has no way to open what is folded.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open]):not(.request)")]
    .filter((one) => !one.closest(".tree") && !one.parentElement.classList.contains("folded")).slice(0, 500);
  for (const one of opened) one.open = true;
});
window.addEventListener("afterprint", () => {
  for (const one of opened) one.open = false;
  opened = [];
});
