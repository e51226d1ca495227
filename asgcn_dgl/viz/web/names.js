// Names of joints over the scene: of all in two columns, or of the joint under the pointer.

const NAME_HEIGHT = 13;
const LEAST_HEIGHT = 11;
const NEAR = 18;
const LETTER_WIDTH = 5.7;

/** Pixels that the names of a clip's joints take on either side of the stage, if they are shown. */
function namesWidth(clip) {
  if (!byId("show-names").checked) return 0;
  const longest = Math.max(...clip.skeleton.joints.map((name) => name.length));
  return LETTER_WIDTH * longest + 24;
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

  /** Write the names in a column on either side, each with a line to its joint, as many as find room. */
  draw() {
    const { beside, predicted, pose } = this.scene;
    const points = pose && [...pose, ...(beside && predicted ? this.scene.moved(predicted) : [])]; // bodies, predicted ones
    const pixels = byId("show-names").checked ? this.scene.pixels(points) : [];
    const state = pixels.map((at) => (at ? at.map(Math.round).join() : "")).join(" ");
    if (state === this.shown) return;
    this.shown = state;
    const { clip } = this.scene;
    const { clientWidth: width, clientHeight: height } = byId("stage");
    const parts = [];
    const margin = namesWidth(clip) - 14;
    this.columns(pixels).forEach((joints, side) => {
      const column = joints.slice(0, Math.floor(height / LEAST_HEIGHT)).sort((a, b) => pixels[a][1] - pixels[b][1]);
      const places = spread(column.map((joint) => pixels[joint][1]), height);
      const x = side ? width - margin : margin;
      if (!joints.length) return;
      const body = clip.bodyOf(joints[0]); // a column is of one
      const fill = color(bodyColor(body % clip.bodies, "left"));
      const stroke = body < clip.bodies ? fill : color(futureColor(body - clip.bodies));
      uncross(x, places, column, pixels);
      column.forEach((joint, k) => {
        const [toX, toY] = pixels[joint];
        parts.push(shape("line", { x1: x, y1: places[k], x2: toX, y2: toY, stroke }),
          shape("text", { x: x + (side ? 3 : -3), y: places[k], fill, "text-anchor": side ? "start" : "end" }, clip.jointName(joint, true)));
      });
    });
    this.svg.replaceChildren(...parts);
  }

  /** Joints to be named on the left and on the right: halves of one body, the outer two of several. */
  columns(pixels) {
    const across = (joint) => pixels[joint][0];
    const seen = [...pixels.keys()].filter((joint) => pixels[joint]).sort((a, b) => across(a) - across(b));
    const middle = (joints) => joints.reduce((sum, joint) => sum + across(joint), 0) / joints.length;
    const bodies = Array.from({ length: pixels.length / this.scene.clip.joints }, (_, body) =>
      seen.filter((joint) => this.scene.clip.bodyOf(joint) === body))
      .filter(({ length }) => length).sort((a, b) => middle(a) - middle(b));
    if (bodies.length > 1) return [bodies[0], bodies.at(-1)];
    const half = Math.ceil(seen.length / 2);
    return [seen.slice(0, half), seen.slice(half)];
  }
}

/** Move heights, which ascend, apart from each other and onto the stage, as little as possible. */
function spread(heights, room) {
  const step = Math.min(NAME_HEIGHT, room / heights.length);
  const groups = []; // names that touch: how many, and the mean place of their first
  heights.forEach((height, k) => {
    let [count, place] = [1, height - k * step];
    while (groups.length && groups.at(-1)[1] > place) {
      const [more, other] = groups.pop();
      place = (count * place + more * other) / (count + more);
      count += more;
    }
    groups.push([count, place]);
  });
  const [top, bottom] = [step / 2, room - (heights.length - 0.5) * step];
  return groups.flatMap(([count, place]) => Array(count).fill(place))
    .map((place, k) => k * step + Math.max(top, Math.min(place, bottom)));
}

/** Exchange joints of a column whose lines, from (x, place), cross; each exchange makes them shorter. */
function uncross(x, places, column, pixels) {
  const height = (k, at) => {
    const [toX, toY] = pixels[column[k]];
    return places[k] + ((toY - places[k]) * (at - x)) / (toX - x);
  };
  for (let pass = 0, crossed = true; crossed && pass < column.length; pass++) {
    crossed = false;
    for (let a = 0; a < column.length; a++) {
      for (let b = a + 1; b < column.length; b++) {
        const ends = [pixels[column[a]][0], pixels[column[b]][0]];
        const at = Math.abs(ends[0] - x) < Math.abs(ends[1] - x) ? ends[0] : ends[1];
        if (!(height(a, at) > height(b, at))) continue;
        [column[a], column[b]] = [column[b], column[a]];
        crossed = true;
      }
    }
  }
}

/** Make an element of a drawing. */
function shape(tag, attributes, text = "") {
  const node = document.createElementNS(byId("names").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}
