// Charts beside the viewer: the course of the training, accuracies, link matrices.

let drawn = null;

/** Load the drawing library, once; the page is usable before. */
function library() {
  drawn ??= (async () => {
    const packed = byId("library");
    const code = new TextDecoder().decode(await inflate(packed.textContent.trim()));
    packed.remove();
    document.head.append(make("script", { textContent: code }));
    if (!window.Plotly) throw new Error("the drawing library did not start");
    return Plotly;
  })();
  return drawn;
}

/** Layout that follows the color scheme. */
function chartLayout(more) {
  const axis = { gridcolor: color("line"), linecolor: color("line"), zeroline: false, automargin: true };
  return {
    font: { family: "system-ui, sans-serif", size: 12, color: color("ink") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 44, r: 10, t: 30, b: 34 },
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

const STILL = { displayModeBar: false, responsive: true };
const EPOCH_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const STILL_POSE = "last pose repeated";
const CURVE_NAMES = { train: "training clips", validation: "validation clips" };
const CURVE_COLORS = { train: "quiet", validation: "accent", "last pose repeated": "bad" };

/** The charts of all runs; of several, each run has its color. */
function drawCurves(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.curves)))];
  byId("curves-panel").hidden = !names.length;
  byId("curves").replaceChildren(...names.map(() => make("div")));
  names.forEach((name, number) => {
    const first = runs.find((run) => run.curves[name]);
    const validated = runs.some((run) => run.curves[name]?.validation);
    const dash = (label) => (label === STILL_POSE ? "dash" : label === "train" && validated ? "dot" : "solid");
    const traces = runs.flatMap((run, place) => Object.entries(run.curves[name] ?? {})
      .filter(([label, curve]) => run === first || label !== STILL_POSE || curve[1][0] !== first.curves[name][label]?.[1][0])
      .map(([label, [x, y]]) => ({
        type: "scatter", mode: x.length > 1 ? "lines" : "markers", x, y,
        name: runs.length > 1 && label !== STILL_POSE ? `${run.name}, ${CURVE_NAMES[label]}` : CURVE_NAMES[label] ?? label,
        line: {
          color: color(runs.length < 2 ? CURVE_COLORS[label] : label === STILL_POSE ? "quiet" : place ? "bad" : "accent"),
          width: 2, dash: dash(label),
        },
      })));
    const node = byId("curves").children[number];
    node.setAttribute("role", "img");
    const ends = traces.map((trace) => `${trace.name} ends at ${trace.y.at(-1)}`);
    node.setAttribute("aria-label", `${name} by epoch: ${ends.join(", ")}`);
    const layout = chartLayout({
      showlegend: true,
      title: { text: name, font: { size: 13 }, x: 0.02, xanchor: "left", y: 0.97 },
      legend: { orientation: "h", x: 0, xanchor: "left", yref: "container", y: 0, yanchor: "bottom", font: { size: 11 } },
      xaxis: { title: { text: "epoch", font: { size: 11 } }, dtick: EPOCH_STEPS.find((step) => 8 * step >= Math.max(...traces.flatMap(({ x }) => x))) },
      yaxis: {},
    });
    node.style.height = `${210 + 18 * traces.length}px`;
    Plotly.react(node, traces, layout, STILL);
  });
}

/** The accuracy of each action: a bar a run. */
function drawClasses(classes, runs) {
  const share = (run, k) => {
    const total = run.confusion[k].reduce((sum, count) => sum + count, 0);
    return total ? run.confusion[k][k] / total : NaN;
  };
  const rows = classes.map((name, k) => ({ name, shares: runs.map((run) => share(run, k)) }))
    .filter(({ shares }) => shares.every(Number.isFinite))
    .sort((a, b) => b.shares[0] - b.shares.at(-1) - a.shares[0] + a.shares.at(-1) || b.shares[0] - a.shares[0]);
  byId("classes-panel").hidden = !rows.length;
  const percent = (value) => (100 * value).toFixed(0);
  byId("classes").dataset.runs = String(runs.length);
  byId("classes").replaceChildren(...rows.map(({ name, shares }) =>
    bar(name, shares, `${shares.map(percent).join(" · ")} %`)));
  if (runs.length > 1) {
    const [a, b] = runs.map((run) => run.name);
    byId("classes").before(make("p", { className: "quiet" }, `Upper bars: ${a}, lower bars: ${b}; actions that gain most from ${a} come first.`));
  }
}

/** The links of a clip's body as a matrix, of one type or of all (-1). */
function linkMatrix(node, clip, type, block) {
  const { types, size, values } = clip.links;
  const names = Array.from({ length: size }, (_, k) => clip.jointName(k, clip.links.blocks > 1 || clip.bodies === 1));
  const bodies = [...Array(size / clip.joints).keys()];
  const kinds = type < 0 ? [...Array(types).keys()] : [type];
  const value = (i, j) => kinds.reduce((sum, c) => sum + values[((block * types + c) * size + i) * size + j] / 255, 0);
  const z = names.map((_, i) => names.map((_, j) => (i === j ? null : value(i, j))));
  const axis = { tickvals: names.map((_, k) => k), ticktext: names.map((_, k) => clip.jointName(k, true)), tickfont: { size: 10 }, showgrid: false, ticks: "" };
  const layout = chartLayout({
    margin: { l: 10, r: 24, t: 24, b: 10 },
    // Each body is named once, above its columns and beside its rows, and divided from the next.
    annotations: bodies.length < 2 ? [] : bodies.flatMap((body) => {
      const [text, middle] = [`body ${body + 1}`, (body + 0.5) * clip.joints - 0.5];
      const label = { text, showarrow: false };
      return [{ ...label, x: middle, yref: "paper", y: 1, yanchor: "bottom" },
        { ...label, y: middle, xref: "paper", x: 1, xanchor: "left", textangle: 90 }];
    }),
    shapes: bodies.slice(1).flatMap((body) => {
      const at = body * clip.joints - 0.5;
      const line = { type: "line", line: { width: 1.5, color: color("ink") } };
      return [{ ...line, yref: "paper", x0: at, x1: at, y0: 0, y1: 1 }, { ...line, xref: "paper", y0: at, y1: at, x0: 0, x1: 1 }];
    }),
    xaxis: { ...axis, tickangle: -90, title: { text: "sender", standoff: 12 } },
    yaxis: { ...axis, autorange: "reversed", title: { text: "receiver", standoff: 12 } },
    height: Math.max(320, 15 * size + 170),
    width: Math.max(300, 15 * size + 170),
  });
  return Plotly.react(node, [{
    type: "heatmap", z, zmin: 0, zmax: 1, colorscale: [[0, color("raised")], [1, color("accent")]],
    showscale: false, text: names.map(() => names),
    customdata: names.map((name) => names.map(() => name)),
    hovertemplate: "%{text} → %{customdata}: %{z:.2f}<extra></extra>",
  }], layout, { displayModeBar: false });
}
