// Puts the page together: first what can be read, then the drawing library, then the first clip.

const data = JSON.parse(byId("data").textContent);

byId("title").textContent = data.title;
byId("subtitle").textContent = data.subtitle;
byId("cards").replaceChildren(...data.cards.map(({ label, value, note }) =>
  make("div", {}, make("dt", {}, label),
    make("dd", {}, value, ...(note ? [make("div", { className: "note" }, note)] : [])))));
byId("facts").replaceChildren(...data.facts.flatMap(([name, value]) =>
  [make("dt", {}, name), make("dd", {}, value)]));
byId("commands").replaceChildren(...data.commands.flatMap(([text, command]) =>
  [make("h3", {}, text), make("pre", { tabIndex: 0 }, command)]));

const scene = new Scene(byId("scene"));
const player = new Player(data, scene);
const table = new Table(data, (place) => player.open(place).catch(fail));
player.onMove = (by) => table.move(by);
if (data.kind === "run") drawClasses(data.classes, data.confusion);

/** Say what went wrong where the drawing would be. */
function fail(error) {
  byId("scene-note").hidden = false;
  byId("scene-note").textContent = `The clip cannot be drawn here: ${error.message}`;
  console.error(error);
}

/** The clip and frame that the address asks for, as in report.html#clip=NAME&frame=30. */
function openFirst() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const rows = table.rows().filter((row) => row.clip >= 0);
  const row = rows.find(({ name }) => name === asked.get("clip")) ?? rows[0];
  if (!row || table.chosen) return;
  table.choose(row).then(() => {
    const frame = player.clip?.frames.findIndex((number) => number >= Number(asked.get("frame")));
    if (frame > 0) player.seek(frame);
  });
}

function drawAll() {
  if (Object.keys(data.curves).length) drawCurves(data.curves);
  openFirst();
}

document.documentElement.dataset.usable = String(Math.round(performance.now()));
// After the first picture of the page, so that the page can be read and used meanwhile.
requestAnimationFrame(() => setTimeout(() => library().then(drawAll).catch(fail)));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (!window.Plotly) return;
  drawCurves(data.curves);
  if (player.clip) player.stage();
});
