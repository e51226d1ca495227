// The confusion matrix and the table of clips, which show the same filter.

const ROWS_SHOWN = 12;
const LARGEST_WITH_NUMBERS = 25;

const EVERYTHING = { name: "", label: null, predicted: null, wrong: false, right: "" };

class Table {
  constructor(data, open) {
    this.data = data;
    this.open = open;
    this.run = 0;
    this.filter = { ...EVERYTHING };
    this.order = { key: null, down: false };
    this.page = 0;
    this.model = data.kind === "run";
    this.columns = [["name", "Clip"], ["bodies", "Bodies"], ["frames", "Frames"]];
    if (this.model) {
      const predicted = data.runs.map(({ name }, run) => [`predicted ${run}`, data.runs.length > 1 ? name : "Recognized as"]);
      const truth = data.runs.length > 1 ? [] : [["truth 0", "Probability of true action"]];
      this.columns = [["name", "Clip"], ["label", "True action"], ...predicted, ...truth];
    }
    const longest = Math.max(...data.rows.map(({ name }) => name.length));
    byId("clips").style.setProperty("--longest", `${longest}ch`);
    this.head();
    this.controls();
    if (this.model) this.confusion();
    this.show();
  }

  /** What a row is sorted by. */
  value(row, key) {
    const [name, run] = key.split(" ");
    const value = run === undefined ? row[name] : row.results[Number(run)][name];
    return name === "label" || name === "predicted" ? this.data.classes[value] ?? "" : value;
  }

  /** Show a run's confusion matrix, and filter by what it recognized. */
  use(run) {
    this.run = run;
    this.confusion();
    this.set(this.filter.predicted === null ? {} : { label: null, predicted: null }); // a cell was of the other run
  }

  /** Which of the runs are right: "both", "none", or a run's number. */
  rightOf(row) {
    const right = row.results.map(({ predicted }) => predicted === row.label);
    if (right.every(Boolean)) return "both";
    return right.some(Boolean) ? String(right.indexOf(true)) : "none";
  }

  head() {
    byId("clips-head").replaceChildren(
      ...this.columns.map(([key, text]) => {
        const button = make("button", { type: "button" }, text.replaceAll("_", "_\u200b")); // may wrap there
        button.addEventListener("click", () => {
          this.order = { key, down: this.order.key === key && !this.order.down };
          this.page = 0;
          this.show();
        });
        const words = /^(name|label|predicted)/.test(key);
        const cell = make("th", { scope: "col", className: words ? "" : "number" }, button);
        cell.dataset.key = key;
        return cell;
      }),
    );
  }

  controls() {
    for (const node of document.querySelectorAll("#filters .of-model")) node.hidden = !this.model;
    for (const key of ["label", "predicted"]) {
      const box = byId(`filter-${key}`);
      box.replaceChildren(
        new Option("any", ""),
        ...this.data.classes.map((name, number) => new Option(name, String(number))),
      );
      box.addEventListener("change", () => this.set({ [key]: box.value === "" ? null : Number(box.value) }));
    }
    if (this.data.runs.length > 1) {
      const names = this.data.runs.map(({ name }) => name);
      const kinds = [["", "any"], ["0", `only ${names[0]}`], ["1", `only ${names[1]}`], ["both", "both"], ["none", "neither"]];
      byId("filter-right").replaceChildren(...kinds.map(([kind, text]) => {
        const count = this.data.rows.filter((row) => this.rightOf(row) === kind).length;
        return new Option(kind ? `${text} (${count})` : text, kind);
      }));
      byId("filter-right").addEventListener("change", (event) => this.set({ right: event.target.value }));
    }
    byId("filter-name").addEventListener("input", (event) => this.set({ name: event.target.value.trim() }));
    byId("filter-wrong").addEventListener("change", (event) => this.set({ wrong: event.target.checked }));
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").addEventListener("reset", (event) => {
      event.preventDefault();
      this.set(EVERYTHING);
    });
    byId("page-back").addEventListener("click", () => this.turn(-1));
    byId("page-next").addEventListener("click", () => this.turn(1));
  }

  set(change) {
    Object.assign(this.filter, change);
    byId("filter-name").value = this.filter.name;
    byId("filter-label").value = this.filter.label ?? "";
    byId("filter-predicted").value = this.filter.predicted ?? "";
    byId("filter-wrong").checked = this.filter.wrong;
    byId("filter-right").value = this.filter.right;
    this.page = 0;
    this.show();
  }

  turn(by) {
    this.page += by;
    this.show();
  }

  /** Rows that pass the filter, in order. */
  rows() {
    const { name, label, predicted, wrong, right } = this.filter;
    const rows = this.data.rows.filter((row) =>
      row.name.toLowerCase().includes(name.toLowerCase()) &&
      (label === null || row.label === label) &&
      (predicted === null || row.results[this.run].predicted === predicted) &&
      (!wrong || row.label !== row.results[this.run].predicted) &&
      (!right || this.rightOf(row) === right));
    const { key, down } = this.order;
    if (key) {
      const sign = down ? -1 : 1;
      rows.sort((a, b) => {
        const [x, y] = [this.value(a, key), this.value(b, key)];
        return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
      });
    }
    return rows;
  }

  show() {
    const rows = this.rows();
    const pages = Math.max(1, Math.ceil(rows.length / ROWS_SHOWN));
    this.page = Math.min(this.page, pages - 1);
    const shown = rows.slice(this.page * ROWS_SHOWN, (this.page + 1) * ROWS_SHOWN);
    byId("clips-body").replaceChildren(...shown.map((row) => this.row(row)));
    for (const cell of byId("clips-head").children) {
      const sorted = cell.dataset.key === this.order.key;
      if (sorted) cell.setAttribute("aria-sort", this.order.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const carried = rows.filter((row) => row.clip >= 0).length;
    const all = this.data.rows.length;
    const hint = !rows.length ? ": Show all lifts the filters"
      : carried < rows.length ? `, ${carried} of them can be played: choose a name` : "";
    byId("clips-count").textContent = `${rows.length} of ${all} clips${hint}`;
    document.querySelector(".pages").hidden = pages < 2;
    byId("page-number").textContent = `page ${this.page + 1} of ${pages}`;
    byId("page-back").disabled = this.page === 0;
    byId("page-next").disabled = this.page === pages - 1;
    for (const button of byId("confusion").querySelectorAll("button")) {
      const { row, column } = button.dataset;
      const pressed = Number(row) === this.filter.label && Number(column) === this.filter.predicted;
      button.setAttribute("aria-pressed", String(pressed));
    }
  }

  row(row) {
    const { classes } = this.data;
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    let name = make("span", { title: `${row.name}: its motion is not in this page; make the report with more --clips` }, row.name);
    if (row.clip >= 0) {
      name = make("button", { type: "button", className: "open", title: row.name }, row.name);
      name.addEventListener("click", () => this.choose(row));
    }
    const cells = [make("td", {}, name)];
    if (this.model) {
      cells.push(make("td", {}, classes[row.label] ?? ""));
      for (const { predicted, confidence, truth } of row.results) {
        const verdict = row.label < 0 ? "" : row.label === predicted ? "right" : "wrong";
        const text = { right: "✓\u00a0", wrong: `✗ ${classes[predicted]} ` }[verdict] ?? `${classes[predicted]} `;
        cells.push(make("td", { className: verdict, title: classes[predicted] }, text,
          make("small", {}, `${(100 * confidence).toFixed(0)}\u00a0%`)));
        if (row.results.length === 1) cells.push(make("td", { className: "number" }, row.label < 0 ? "" : percent(truth)));
      }
    } else {
      cells.push(make("td", { className: "number" }, String(row.bodies)), make("td", { className: "number" }, String(row.frames)));
    }
    const node = make("tr", { className: row === this.chosen ? "chosen" : "" }, ...cells);
    if (row === this.chosen) node.setAttribute("aria-current", "true");
    return node;
  }

  choose(row) {
    this.chosen = row;
    const place = this.rows().indexOf(row);
    if (place >= 0) this.page = Math.floor(place / ROWS_SHOWN);
    const focused = document.activeElement?.classList.contains("open");
    this.show();
    if (focused) byId("clips-body").querySelector(".chosen .open")?.focus({ preventScroll: true });
    return this.open(row.clip);
  }

  /** Choose the next clip that has its motion, or the one before. */
  move(by) {
    const rows = this.rows().filter((row) => row.clip >= 0);
    if (!rows.length) return;
    const place = rows.indexOf(this.chosen);
    this.choose(rows[(place + by + rows.length) % rows.length]);
  }

  confusion() {
    const { classes } = this.data;
    const { confusion, name } = this.data.runs[this.run];
    const of = this.data.runs.length > 1 ? ` of ${name}` : "";
    byId("confusion-title").textContent = `Confusion matrix${of}`;
    byId("whose").textContent = `Only mistakes${of}`;
    const table = byId("confusion");
    const dense = classes.length > LARGEST_WITH_NUMBERS;
    table.classList.toggle("dense", dense);
    const head = make("tr", {}, make("td"),
      ...classes.map((name) => make("th", { scope: "col", title: name }, make("span", {}, name))));
    const rows = confusion.map((counts, row) => {
      const total = counts.reduce((sum, count) => sum + count, 0);
      const cells = counts.map((count, column) => {
        if (!count) return make("td", {}, make("span"));
        const clips = count === 1 ? "1 clip" : `${count} clips`;
        const button = make("button", { type: "button", title: `${classes[row]} → ${classes[column]}: ${clips}` },
          dense ? "" : String(count));
        button.setAttribute("aria-label", `${classes[row]} recognized as ${classes[column]}: ${clips}`);
        button.style.setProperty("--share", 0.08 + (0.57 * count) / total); // the number is legible on all
        Object.assign(button.dataset, { row, column });
        button.addEventListener("click", () => this.cell(button, row, column));
        return make("td", {}, button);
      });
      return make("tr", {}, make("th", { scope: "row", title: classes[row] }, classes[row]), ...cells);
    });
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
    byId("confusion-panel").hidden = false;
  }

  /** List the clips behind a cell and open the first; once more, list all again. */
  cell(button, row, column) {
    if (button.getAttribute("aria-pressed") === "true") {
      this.set({ label: null, predicted: null });
      return;
    }
    this.set({ ...EVERYTHING, label: row, predicted: column });
    const first = this.rows().find((each) => each.clip >= 0);
    if (first) this.choose(first);
  }
}
