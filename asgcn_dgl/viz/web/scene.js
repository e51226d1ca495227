// The 3-D scene: bodies, links, responses, predicted poses.

const CURVE_STEPS = 20;
/** Share of an arrow at which its head is, clear of the joints. */
const HEAD_AT = 0.7;
/** Directions from which a named view looks. */
const VIEWS = {
  front: [0.4, -1.8, 0.4],
  side: [1.8, -0.2, 0.35],
  top: [0, -0.45, 1.8],
};
/** That of a plane: straight ahead. */
const AHEAD = [0, -1, 0];
/** How far off the camera is. The scene has no perspective, so this only keeps it outside. */
const AWAY = 10;
/** Radians by which a drag turns the scene, for a pixel. */
const DRAGGED = 0.008;
/** Frames by which the scale is found. */
const FRAMES_FITTED = 24;

const plus = (a, b) => a.map((value, k) => value + b[k]);
const minus = (a, b) => a.map((value, k) => value - b[k]);
const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const scaled = (a, by) => a.map((value) => value * by);
const unitOf = (a) => scaled(a, 1 / (Math.hypot(...a) || 1));
const cross = ([a, b, c], [x, y, z]) => [b * z - c * y, c * x - a * z, a * y - b * x];

/** The place of the camera in a direction. */
function away(direction) {
  const [x, y, z] = scaled(unitOf(direction), AWAY);
  return { x, y, z };
}

/** Read a color of the style sheet, as the color scheme has it. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The colors of a body and of its prediction. */
const bodyColor = (body, where) => (body === 0 ? `body-${where}` : body % 2 ? "body-2" : "body-3");
const futureColor = (body) => (body === 0 ? "future" : body % 2 ? "future-2" : "future-3");

/** Empty coordinates, to be filled by add. */
const track = () => ({ x: [], y: [], z: [] });

function add(to, point) {
  to.x.push(point ? point[0] : null);
  to.y.push(point ? point[1] : null);
  to.z.push(point ? point[2] : null);
}

/** A link as an arrow that bends to one side of its way, so that the way back stays visible. */
function addArrow(to, start, end, flat, head) {
  const way = end.map((value, k) => value - start[k]);
  const length = Math.hypot(...way) || 1;
  const across = flat ? [-way[2], 0, way[0]] : [-way[1], way[0], 0];
  const wide = Math.hypot(...across) || 1;
  const bend = scaled(across, Math.min(0.16 * length, 3 * head) / wide);
  if (!flat) bend[2] += 0.06 * length;
  const at = (s) => start.map((value, axis) => value + s * way[axis] + 4 * s * (1 - s) * bend[axis]);
  for (let k = 0; k <= CURVE_STEPS; k++) add(to, at(k / CURVE_STEPS));
  add(to, null);
  // The head, of two barbs in each of two planes, so that it is seen from everywhere.
  const tip = at(HEAD_AT);
  const along = unitOf(minus(tip, at(HEAD_AT - 0.05)));
  const size = Math.min(head, 0.3 * length);
  const back = minus(tip, scaled(along, size));
  const aside = unitOf(cross(along, flat ? [0, 1, 0] : bend));
  for (const side of flat ? [aside] : [aside, cross(along, aside)]) {
    for (const point of [plus(back, scaled(side, 0.4 * size)), tip, minus(back, scaled(side, 0.4 * size)), null]) add(to, point);
  }
}

class Scene {
  constructor(node) {
    this.node = node;
    this.clip = null;
    this.links = [];
    node.addEventListener("wheel", (event) => {
      if (!this.clip || document.activeElement !== node) return; // the page scrolls
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1);
    });
    node.addEventListener("pointerdown", (event) => {
      node.focus({ preventScroll: true });
      node.setPointerCapture(event.pointerId);
      this.held = [event.clientX, event.clientY];
    });
    node.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
      if (!this.clip || !node.hasPointerCapture(pointerId)) return;
      const [right, down] = minus([clientX, clientY], this.held);
      this.held = [clientX, clientY];
      if (this.clip.flat) this.shift(right, down);
      else this.rotate(-DRAGGED * right, DRAGGED * down);
    });
    new ResizeObserver(() => this.clip && this.face()).observe(node);
  }

  /** Put a clip on the stage, with room for a prediction beside it if that is wanted. */
  async show(clip, beside) {
    const other = clip !== this.clip || clip.box !== this.box || beside !== this.beside;
    const direction = clip === this.clip ? Object.values(this.eye) : this.turned("front", clip);
    Object.assign(this, { clip, beside, box: clip.box, predicted: null });
    const { left, right } = clip.skeleton;
    const side = clip.skeleton.joints.map((_, joint) =>
      left.includes(joint) ? "left" : right.includes(joint) ? "right" : "middle");
    this.jointColors = [];
    this.futureColors = [];
    for (let body = 0; body < clip.bodies; body++) {
      for (const where of side) {
        this.jointColors.push(color(bodyColor(body, where)));
        this.futureColors.push(color(futureColor(body)));
      }
    }
    this.bones = [];
    for (let body = 0; body < clip.bodies; body++) {
      for (const [inner, outer] of clip.skeleton.bones) {
        this.bones.push([inner + body * clip.joints, outer + body * clip.joints]);
      }
    }
    this.types = clip.links ? clip.links.types : 0;
    this.filled = new Set();
    const axis = (range) => ({ range, visible: false, showspikes: false });
    // What is outside is not drawn: there is room wherever a prediction is moved.
    const spare = clip.future ? 1.2 * Math.hypot(...clip.box.map(([low, high]) => high - low)) : 0;
    const room = clip.box.map(([low, high]) => [low - spare, high + spare]);
    const [x, y, z] = room;
    this.sizes = room.map(([low, high]) => high - low);
    if (other) this.fit(direction);
    const layout = {
      showlegend: false,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      scene: {
        xaxis: axis(x), yaxis: axis(y), zaxis: axis(z),
        aspectmode: "manual", aspectratio: this.ratio(),
        camera: this.camera(),
        dragmode: false,
      },
    };
    await Plotly.react(this.node, this.traces(), layout, { displayModeBar: false, responsive: true, scrollZoom: false });
  }

  traces() {
    const empty = { type: "scatter3d", hoverinfo: "skip", x: [null], y: [null], z: [null] };
    const lines = (width, colors, more = {}) => ({ ...empty, mode: "lines", line: { width, color: colors }, ...more });
    const traces = [
      lines(1.5, color("floor"), this.clip.flat ? {} : this.floor()),
      lines(9, this.boneColors(this.jointColors)),
      { ...empty, mode: "markers", marker: { size: 5, color: this.jointColors } },
      { ...empty, mode: "markers", marker: { size: 1, color: color("response"), opacity: 0.35 } },
      lines(6, this.boneColors(this.futureColors)),
      { ...empty, mode: "markers", marker: { size: 4.5, color: this.futureColors } },
    ];
    for (let type = 0; type < this.types; type++) {
      const shade = color(`type-${(type % 5) + 1}`);
      traces.push(lines(3.5, shade), lines(1.5, shade));
    }
    return traces;
  }

  boneColors(colors) {
    return this.bones.flatMap(([, outer]) => Array(3).fill(colors[outer]));
  }

  /** A grid on the ground, which passes below bodies that the scene follows. */
  floor([left, near] = [0, 0]) {
    const to = track();
    const [[x0, x1], [y0, y1], [ground]] = this.box;
    const step = Math.max(x1 - x0, y1 - y0) / 8;
    const level = ground + 1e-3;
    const first = (low, passed) => low + (((-low - passed) % step) + step) % step;
    for (let x = first(x0, left); x <= x1; x += step) {
      [[x, y0, level], [x, y1, level], null].forEach((point) => add(to, point));
    }
    for (let y = first(y0, near); y <= y1; y += step) {
      [[x0, y, level], [x1, y, level], null].forEach((point) => add(to, point));
    }
    return to;
  }

  /** The median length of a frame's bones on the stage, in pixels. */
  boneLength(pose) {
    const lengths = this.bones.filter(([a, b]) => pose[a] && pose[b]).map(([a, b]) => Math.hypot(...minus(pose[a], pose[b])));
    return ((lengths.sort((a, b) => a - b)[lengths.length >> 1] ?? 0) * this.scale * this.node.clientHeight) / 2;
  }

  /** Draw a frame. */
  async draw(frame, options) {
    const clip = this.clip;
    const pose = clip.pose(frame);
    const [bones, joints] = this.bodies(pose);
    const circles = track();
    let sizes = 1;
    if (options.response && clip.response) {
      pose.forEach((point) => add(circles, point));
      const most = Math.min(64, 3 * this.boneLength(pose));
      sizes = clip.responses(frame).map((value) => most * Math.sqrt(value));
    }
    this.predicted = clip.future && options.future ? clip.prediction(frame) : null;
    const [ghostBones, ghostJoints] = this.predicted ? this.bodies(this.moved(this.predicted)) : [track(), track()];
    const floor = clip.follow && !clip.flat ? this.floor(clip.place(frame)) : track();
    const drawn = [floor, bones, joints, circles, ghostBones, ghostJoints, ...this.arrows(pose)];
    // Traces that were and stay empty are left alone: each one costs time.
    const places = [...drawn.keys()].filter((k) => drawn[k].x.length || this.filled.has(k));
    this.filled = new Set(places.filter((k) => drawn[k].x.length));
    const some = places.map((k) => (drawn[k].x.length ? drawn[k] : { x: [null], y: [null], z: [null] }));
    const change = { x: some.map((to) => to.x), y: some.map((to) => to.y), z: some.map((to) => to.z) };
    if (places.includes(3)) change["marker.size"] = places.map((k) => (k === 3 ? sizes : undefined));
    await Plotly.restyle(this.node, change, places);
    this.pose = pose;
  }

  /** Pixels of points on the stage, by default of the joints; null where one is missing. */
  pixels(points = this.pose) {
    const scene = this.node._fullLayout?.scene?._scene;
    if (!scene?.glplot?.cameraParams || !points) return [];
    const { model, view, projection } = scene.glplot.cameraParams;
    const times = (matrix, v) => v.map((_, row) => v.reduce((sum, value, k) => sum + matrix[4 * k + row] * value, 0));
    const { clientWidth, clientHeight } = this.node;
    return points.map((point) => {
      if (!point) return null;
      const scaled = point.map((value, k) => value * scene.dataScale[k]);
      const [x, y, , w] = [model, view, projection].reduce((v, matrix) => times(matrix, v), [...scaled, 1]);
      return [(0.5 + 0.5 * x / w) * clientWidth, (0.5 - 0.5 * y / w) * clientHeight];
    });
  }

  /** Bones and joints. Missing ones keep their place, and with it the colors. */
  bodies(pose) {
    const bones = track(), joints = track();
    for (const [inner, outer] of this.bones) {
      const seen = pose[inner] && pose[outer];
      [seen && pose[inner], seen && pose[outer], null].forEach((point) => add(bones, point));
    }
    pose.forEach((point) => add(joints, point));
    return [bones, joints];
  }

  /** Predicted joints, beside the true ones or before them. */
  moved(points) {
    return points.map((point, joint) => point && plus(point, this.shifts[this.clip.bodyOf(joint)]));
  }

  /** How far to the right of a body its prediction is put beside it: away from the other bodies. */
  aside(body, right) {
    const { clip } = this;
    const across = (points) => points.filter(Boolean).map((point) => dot(point, right));
    const own = [], others = [];
    for (let frame = clip.futureStart; frame < clip.length; frame++) {
      for (const pose of [clip.pose(frame), clip.prediction(frame)]) {
        own.push(...across(pose.filter((_, joint) => clip.bodyOf(joint) === body)));
        others.push(...across(pose.filter((_, joint) => clip.bodyOf(joint) !== body)));
      }
    }
    if (!own.length) return 0;
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const wide = Math.max(Math.max(...own) - Math.min(...own), 0.25 * (clip.box[2][1] - clip.box[2][0]));
    return 1.1 * (others.length && mean(own) < mean(others) ? -wide : wide);
  }

  /** The links as arrows: those in the upper half of the probabilities drawn are thick. */
  arrows(pose) {
    const head = 0.03 * Math.max(...this.clip.box.map(([low, high]) => high - low));
    const found = Array.from({ length: 2 * this.types }, track);
    const links = this.links.filter(({ receiver, sender }) => pose[receiver] && pose[sender]);
    const middle = (links[0]?.prob + links.at(-1)?.prob) / 2;
    for (const { receiver, sender, type, prob } of links) {
      addArrow(found[2 * type + (prob >= middle ? 0 : 1)], pose[sender], pose[receiver], this.clip.flat, head);
    }
    return found;
  }

  /** The direction of a named view: relative to where the bodies face. */
  turned(name, clip = this.clip) {
    if (clip.flat) return AHEAD;
    const [x, y, z] = VIEWS[name];
    const [cos, sin] = [Math.cos(-clip.turn), Math.sin(-clip.turn)];
    return [x * cos - y * sin, x * sin + y * cos, z];
  }

  /** Lengths of the axes of the scene, whose height is 2. */
  ratio() {
    const [x, y, z] = scaled(this.sizes, this.scale);
    return { x, y, z };
  }

  /** The scale at which the bodies of all frames, outliers aside, fill the stage beside their names. */
  fitted() {
    const { clip } = this;
    const { clientWidth: width, clientHeight: height } = this.node;
    const every = Math.ceil(clip.length / FRAMES_FITTED);
    const points = [];
    for (let frame = 0; frame < clip.length; frame += every) {
      points.push(...clip.pose(frame), ...this.moved(clip.prediction(frame) ?? []));
    }
    const middle = plus(this.middle, this.box.map(([low, high]) => (low + high) / 2));
    const across = 1 - Math.max(0.16, Math.min(0.65, (2 * namesWidth(clip)) / width));
    const [right, up] = this.axes();
    const needed = points.filter(Boolean).map((point) => {
      const [x, y] = [right, up].map((axis) => Math.abs(dot(minus(point, middle), axis)));
      return Math.max((x * height) / width / across, y / 0.9);
    });
    const most = needed.sort((a, b) => a - b)[Math.floor(0.999 * (needed.length - 1))];
    return 1 / Math.max(most ?? 0, 0.1 * Math.max(...this.sizes));
  }

  /** Directions of the screen: right, up, towards the viewer. */
  axes() {
    const near = unitOf(Object.values(this.eye));
    const right = unitOf(cross([0, 0, 1], near));
    return [right, cross(near, right), near];
  }

  /** Move predictions to where they are seen whole: beside their bodies, or before them. */
  place() {
    const [right, up, near] = this.axes();
    const { bodies, future } = this.clip;
    const before = 0.5 * Math.max(...this.box.map(([low, high]) => high - low)); // without perspective nothing changes its place
    const asides = Array.from({ length: bodies }, (_, body) => (this.beside && future ? this.aside(body, right) : 0));
    this.shifts = asides.map((by) => (this.beside ? scaled(right, by) : scaled(near, before)));
    const [x, y] = this.shifted;
    this.middle = plus(scaled(right, x + (Math.min(0, ...asides) + Math.max(0, ...asides)) / 2), scaled(up, y));
  }

  /** Where the camera stands and what it looks at. */
  camera() {
    const point = ([x, y, z]) => ({ x, y, z });
    const center = scaled(this.middle, this.scale);
    return {
      eye: point(plus(Object.values(this.eye), center)), center: point(center), up: point([0, 0, 1]),
      // Bodies beside each other are compared: at another place they must look the same.
      projection: { type: "orthographic" },
    };
  }

  /** Look from a direction, from where all of the bodies are seen. */
  fit(direction) {
    this.eye = away(direction);
    this.shifted = [0, 0];
    this.place();
    this.scale = this.fitted();
  }

  /** The same, for the clip that is shown. */
  face(direction = Object.values(this.eye)) {
    this.fit(direction);
    return this.look({ "scene.aspectratio": this.ratio() });
  }

  /** Show the camera, and the predictions at their places, as they are now. */
  async look(more = {}) {
    await Plotly.relayout(this.node, { "scene.camera": this.camera(), ...more });
    if (!this.predicted) return;
    const ghosts = this.bodies(this.moved(this.predicted));
    const [x, y, z] = ["x", "y", "z"].map((axis) => ghosts.map((to) => to[axis]));
    await Plotly.restyle(this.node, { x, y, z }, [4, 5]);
  }

  /** Turn around the vertical and up or down, in radians. */
  rotate(around, up) {
    if (this.clip.flat) return;
    const { x, y, z } = this.eye;
    const turn = Math.atan2(y, x) + around;
    const rise = Math.max(-1.5, Math.min(1.5, Math.asin(z / Math.hypot(x, y, z)) + up));
    this.eye = away([Math.cos(rise) * Math.cos(turn), Math.cos(rise) * Math.sin(turn), Math.sin(rise)]);
    this.place();
    return this.look();
  }

  /** Move all that is drawn by pixels. */
  shift(right, down) {
    const pixel = 2 / (this.node.clientHeight * this.scale);
    this.shifted = plus(this.shifted, [-pixel * right, pixel * down]);
    this.place();
    return this.look();
  }

  zoom(factor) {
    this.scale *= factor;
    return this.look({ "scene.aspectratio": this.ratio() });
  }
}
