// Names of joints over the scene: of one body, on either side of it or on the side away from others, or of
// the joint under the pointer.

/** Height of a name, and where there are many. */
const NAME_HEIGHT = 13, LEAST_HEIGHT = 11;
const NEAR = 18;
const LETTER_WIDTH = 6.2;

/** Pixels that the names of a clip's joints take on either side of the stage, if they are shown. */
function namesWidth(clip) {
  if (!byId("show-names").checked) return 0;
  const longest = Math.max(...clip.skeleton.joints.map((name) => name.length));
  return LETTER_WIDTH * longest + 16;
}

class Names {
  constructor(scene) {
    this.scene = scene;
    this.svg = byId("names");
    this.shown = "";
    byId("stage").addEventListener("pointermove", (event) => this.hover(event));
    byId("stage").addEventListener("pointerdown", (event) => this.hover(event));
    byId("stage").addEventListener("pointerleave", () => { byId("hover").hidden = true; });
    const step = () => {
      this.draw();
      requestAnimationFrame(step);
    };
    step();
  }

  /** Name the joint under the pointer. */
  hover({ clientX, clientY }) {
    const { left, top } = byId("stage").getBoundingClientRect();
    const far = this.scene.pixels().map((at) => (at ? Math.hypot(at[0] + left - clientX, at[1] + top - clientY) : Infinity));
    const joint = far.indexOf(Math.min(...far));
    const node = byId("hover");
    node.hidden = !(far[joint] < NEAR);
    if (node.hidden) return;
    node.textContent = this.scene.clip.jointName(joint);
    node.style.left = `${Math.max(60, Math.min(clientX - left, byId("stage").clientWidth - 60))}px`;
    node.style.top = `${Math.max(44, clientY - top)}px`;
  }

  /** Whether a body stands to the left of the others. */
  isLeft(body, pixels) {
    const { clip } = this.scene;
    const mean = (joints) => joints.reduce((sum, joint) => sum + pixels[joint][0], 0) / (joints.length || 1);
    const seen = [...pixels.keys()].filter((joint) => pixels[joint]);
    const is = (joint) => clip.bodyOf(joint) === body;
    return mean(seen.filter(is)) <= mean(seen.filter((joint) => !is(joint)));
  }

  /** Write the names beside the bodies, each with a line to its joint, as many as find room. */
  draw() {
    const pixels = byId("show-names").checked ? this.scene.pixels() : [];
    const body = Number(byId("names-body").value);
    const state = `${body} ${pixels.map((at) => (at ? at.map(Math.round).join() : "")).join(" ")}`;
    if (state === this.shown) return;
    this.shown = state;
    const { clientWidth: width, clientHeight: height } = byId("stage");
    const { clip } = this.scene;
    const parts = [];
    const seen = [...pixels.keys()].filter((joint) => pixels[joint] && clip.bodyOf(joint) === body)
      .sort((a, b) => pixels[a][0] - pixels[b][0]);
    const half = clip?.bodies > 1 ? seen.length * this.isLeft(body, pixels) : Math.ceil(seen.length / 2);
    for (const [side, anchor, x] of [[seen.slice(0, half), "start", 8], [seen.slice(half), "end", width - 8]]) {
      const tall = Math.max(LEAST_HEIGHT, Math.min(NAME_HEIGHT, height / side.length));
      const column = side.slice(0, Math.floor(height / tall)).sort((a, b) => pixels[a][1] - pixels[b][1]);
      let low = 0.5 * tall;
      const places = column.map((joint) => (low = Math.max(low, pixels[joint][1])) && (low += tall) - tall);
      let high = height - 0.5 * tall;
      for (let k = column.length - 1; k >= 0; k--) {
        places[k] = Math.min(places[k], high);
        high = places[k] - tall;
      }
      column.forEach((joint, k) => {
        const [toX, toY] = pixels[joint];
        const name = clip.jointName(joint, true);
        const from = x + (anchor === "start" ? 1 : -1) * (LETTER_WIDTH * name.length + 4);
        parts.push(shape("line", { x1: from, y1: places[k], x2: toX, y2: toY }),
          shape("text", { x, y: places[k], "text-anchor": anchor }, name));
      });
    }
    this.svg.replaceChildren(...parts);
  }
}

/** Make an element of a drawing. */
function shape(tag, attributes, text = "") {
  const node = document.createElementNS(byId("names").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}
