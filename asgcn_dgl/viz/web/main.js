// Puts the page together: first what can be read, then the drawing library, then the first clip.

const data = JSON.parse(byId("data").textContent);

byId("title").textContent = data.title;
byId("subtitle").textContent = data.subtitle;
document.body.dataset.kind = data.kind;
byId("cards").replaceChildren(...data.runs[0].cards.map(({ label }, k) => {
  const cards = data.runs.map((run) => run.cards.find((card) => card.label === label) ?? { value: "–", note: "" });
  const same = cards.every(({ value }) => value === cards[0].value);
  const values = cards.slice(0, same ? 1 : undefined).map(({ value }, run) =>
    make("div", {}, value, ...(same ? [] : [make("span", { className: "note" }, ` ${data.runs[run].name}`)])));
  const notes = [...new Set(cards.map(({ note }) => note).filter(Boolean))];
  return make("div", {}, make("dt", {}, label),
    make("dd", {}, ...values, ...notes.map((text) => make("div", { className: "note" }, text))));
}));
byId("notices").replaceChildren(...data.notices.map((text) => make("p", { className: "notice" }, text)));
const named = data.runs.length > 1 ? [make("tr", {}, make("td"), ...data.runs.map((run) => make("th", {}, run.name)))] : [];
const facts = [...new Set(data.runs.flatMap((run) => run.facts.map(([name]) => name)))];
byId("facts").replaceChildren(...named, ...facts.map((name) => {
  const values = data.runs.map((run) => run.facts.find(([each]) => each === name)?.[1] ?? "–");
  const same = values.every((value) => value === values[0]);
  const cells = same ? [make("td", { colSpan: values.length }, values[0])] : values.map((value) => make("td", {}, value));
  return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
}));
byId("words-panel").hidden = !data.runs[0].cards.length; // without a model
byId("commands").replaceChildren(...data.commands.flatMap(([text, command]) =>
  [make("h3", {}, text), make("pre", { tabIndex: 0 }, command)]));

const scene = new Scene(byId("scene"));
const player = new Player(data, scene);
const table = new Table(data, (place) => player.open(place).catch(fail));
player.onMove = (by) => table.move(by);
if (data.kind === "run") drawClasses(data.classes, data.runs);
for (const node of document.querySelectorAll(".of-two")) node.hidden = data.runs.length < 2;
byId("run-buttons").replaceChildren(...data.runs.map((run, k) => {
  const button = make("button", { type: "button" }, run.name);
  button.setAttribute("aria-pressed", String(k === 0));
  button.addEventListener("click", () => {
    for (const each of byId("run-buttons").children) each.setAttribute("aria-pressed", String(each === button));
    table.use(k);
    player.use(k).catch(fail);
  });
  return button;
}));

/** Offer to scroll where a table is wider than its place; keep a viewer in sight that fits. */
function fit() {
  for (const hint of document.querySelectorAll(".hint")) {
    const { scrollWidth, clientWidth } = hint.nextElementSibling;
    hint.classList.toggle("needed", scrollWidth > clientWidth + 1);
  }
  const beside = document.querySelector(".beside");
  beside.classList.toggle("stays", beside.offsetHeight + 32 <= innerHeight);
}

/** Fill the shorter of two columns, unless it is the viewer that stays in sight. */
function fill() {
  fit();
  const [left, beside] = [".left", ".beside"].map((name) => document.querySelector(name));
  const classes = byId("classes-panel");
  const room = beside.offsetHeight - left.offsetHeight;
  // In a column the bars are nearly twice as long a list as below both.
  if (innerWidth < 1100 || Math.abs(room) < 1.5 * classes.offsetHeight) return;
  if (room > 0) left.append(classes);
  else if (!beside.matches(".stays")) beside.append(classes);
}
for (const name of ["main", ".beside"]) new ResizeObserver(fit).observe(document.querySelector(name));
byId("matrix-panel").addEventListener("toggle", () => setTimeout(fit, 300));

/** Say what went wrong where the drawing would be. */
function fail(error) {
  byId("scene-note").hidden = false;
  byId("scene-note").textContent = `The clip cannot be drawn here: ${error.message}`;
  console.error(error);
}

/** Open the clip and frame that the address asks for, as in report.html#clip=NAME&frame=30. */
function openAsked() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const rows = data.rows.filter((row) => row.clip >= 0);
  const row = rows.find(({ name }) => name === asked.get("clip")) ?? (table.chosen ? null : rows[0]);
  if (!row) return null;
  return table.choose(row).then(() => {
    if (!asked.has("frame")) return;
    const frame = player.clip?.frames.findIndex((number) => number >= Number(asked.get("frame")));
    if (frame >= 0) player.seek(frame);
  });
}

function drawAll() {
  drawCurves(data.runs);
  new Names(scene);
  if (!table.chosen) openAsked()?.then(fill);
  addEventListener("hashchange", openAsked);
}

window.report = { scene, player, table };
document.documentElement.dataset.usable = String(Math.round(performance.now()));
// After the first picture of the page, so that the page can be read and used meanwhile.
requestAnimationFrame(() => setTimeout(() => library().then(drawAll).catch(fail)));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (!window.Plotly) return;
  drawCurves(data.runs);
  if (player.clip) player.stage();
});
