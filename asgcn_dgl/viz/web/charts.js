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

/** Layout that follows the colour scheme. */
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
const CURVE_COLORS = { train: "quiet", validation: "accent", "last pose repeated": "bad" };

function drawCurves(curves) {
  const names = Object.keys(curves);
  byId("curves-panel").hidden = !names.length;
  byId("curves").replaceChildren(...names.map((name) => {
    const node = make("div");
    node.setAttribute("role", "img");
    const ends = Object.entries(curves[name]).map(([label, [, values]]) => `${label} ends at ${values.at(-1)}`);
    node.setAttribute("aria-label", `${name} by epoch: ${ends.join(", ")}`);
    return node;
  }));
  names.forEach((name, number) => {
    const traces = Object.entries(curves[name]).map(([label, [x, y]]) => ({
      type: "scatter", mode: x.length > 1 ? "lines" : "markers", name: label, x, y,
      line: { color: color(CURVE_COLORS[label]), width: 2, dash: label.startsWith("last") ? "dash" : "solid" },
    }));
    const layout = chartLayout({
      title: { text: name, font: { size: 13 }, x: 0.02, xanchor: "left", y: 0.97 },
      legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom", font: { size: 11 } },
      xaxis: { title: { text: "epoch", font: { size: 11 } } },
      yaxis: {},
    });
    layout.margin.t = 46;
    Plotly.react(byId("curves").children[number], traces, layout, STILL);
  });
}

function drawClasses(classes, confusion) {
  const rows = classes.map((name, k) => {
    const total = confusion[k].reduce((sum, count) => sum + count, 0);
    return { name, total, share: total ? confusion[k][k] / total : 0 };
  }).filter((row) => row.total).sort((a, b) => b.share - a.share);
  byId("classes-panel").hidden = !rows.length;
  byId("classes").replaceChildren(...rows.map((row) =>
    bar(row.name, row.share, `${(100 * row.share).toFixed(0)} %`)));
}

/** Matrices of a clip's links, a panel a type; of several bodies the first. */
function linkMatrix(node, clip) {
  const { types, size, values } = clip.links;
  const names = Array.from({ length: size }, (_, k) => clip.skeleton.joints[k % clip.joints].replaceAll("_", " "));
  const traces = [];
  const layout = chartLayout({ margin: { l: 110, r: 10, t: 10, b: 40 } });
  const steps = [[0, color("raised")], [1, color("accent")]];
  for (let type = 0; type < types; type++) {
    const z = [];
    for (let i = 0; i < size; i++) {
      const row = [];
      for (let j = 0; j < size; j++) row.push(i === j ? null : values[(type * size + i) * size + j] / 255);
      z.push(row);
    }
    const id = type ? String(type + 1) : "";
    traces.push({
      type: "heatmap", z, x: names, y: names, xaxis: `x${id}`, yaxis: `y${id}`, zmin: 0, zmax: 1, colorscale: steps,
      showscale: type === types - 1, colorbar: { thickness: 10, len: 0.8 },
      hovertemplate: "%{x} → %{y}: %{z:.2f}<extra></extra>",
    });
    const width = 1 / types;
    layout[`xaxis${id}`] = {
      domain: [type * width, (type + 0.92) * width], anchor: `y${id}`, showticklabels: false, showgrid: false, ticks: "",
      title: { text: `type ${type + 1}, by sender`, font: { size: 12 } },
    };
    layout[`yaxis${id}`] = {
      anchor: `x${id}`, autorange: "reversed", tickfont: { size: 9 }, dtick: 1, showticklabels: type === 0, showgrid: false,
    };
  }
  layout.height = 300;
  return Plotly.react(node, traces, layout, STILL);
}
