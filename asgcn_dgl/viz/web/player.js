// The viewer: plays a clip, and sets what is drawn with it.

const FRAMES_PER_SECOND = 30;
const USUAL_THRESHOLD = 0.9;
const LEAST = 0.1; // below it there is hardly a link
const WEAK_LINKS_SHOWN = 20;
const LINKS_LISTED = 24;
const COLORED_BODIES = 3;

class Player {
  constructor(data, scene) {
    this.data = data;
    this.scene = scene;
    this.frame = 0;
    this.run = 0;
    this.playing = false;
    this.clips = new Map();
    this.onMove = () => {};
    // What is set while the first clip is loading is read when it is opened.
    const on = (node, kind, work) => node.addEventListener(kind, (event) => this.clip && work(event));
    on(byId("play"), "click", () => this.toggle());
    on(byId("scrub"), "input", (event) => {
      this.pause();
      this.seek(Number(event.target.value));
    });
    byId("threshold").addEventListener("input", () => { this.thresholdSet = true; });
    for (const id of ["threshold", "most"]) on(byId(id), "input", () => this.chooseLinks());
    on(byId("link-types"), "change", () => this.chooseLinks());
    for (const id of ["show-response", "show-future"]) on(byId(id), "change", () => this.draw());
    on(byId("show-names"), "change", () => scene.face());
    on(byId("to-future"), "click", () => {
      this.pause();
      this.seek(this.clip.futureStart);
    });
    for (const id of ["future-beside", "follow"]) on(byId(id), "change", () => this.stage());
    for (const id of ["matrix-type", "matrix-body"]) on(byId(id), "change", () => this.drawMatrix());
    for (const button of document.querySelectorAll("[data-view]")) {
      on(button, "click", () => scene.face(scene.turned(button.dataset.view)));
    }
    on(byId("scene"), "keydown", (event) => this.key(event));
    byId("matrix-panel").addEventListener("toggle", () => this.drawMatrix());
    byId("clip-back").addEventListener("click", () => this.onMove(-1));
    byId("clip-next").addEventListener("click", () => this.onMove(1));
  }

  /** Open a clip by its place among those that are carried. */
  async open(place) {
    this.pause();
    const asked = (this.asked = place);
    if (!this.clips.has(place)) {
      this.clips.set(place, await Clip.read(this.data.clips[place], this.data.layouts));
    }
    await library();
    if (asked !== this.asked) return; // another clip was chosen meanwhile
    this.clip = this.clips.get(place);
    this.frame = 0;
    this.thresholdSet = false;
    await this.use(this.run);
    byId("viewer").dataset.clip = this.clip.name;
  }

  /** Show what one of the runs makes of the clips. */
  async use(run) {
    this.run = run;
    if (!this.clip) return;
    this.clip.use(run);
    this.describe();
    this.offer();
    await this.stage();
    byId("viewer").dataset.run = String(run);
  }

  async stage() {
    byId("scene-note").hidden = true;
    this.clip.follow = this.clip.path !== null && byId("follow").checked;
    await this.scene.show(this.clip, byId("future-beside").checked);
    await this.chooseLinks();
    this.drawMatrix();
  }

  /** Say which clip it is and what the model makes of it. */
  describe() {
    const { clip } = this;
    const { classes } = this.data;
    byId("clip-name").textContent = clip.name;
    const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;
    const facts = [];
    if (clip.label >= 0 && classes.length) facts.push(classes[clip.label]);
    if (clip.probabilities) {
      const best = clip.probabilities[0];
      const verdict = clip.label < 0 ? "" : best[0] === clip.label ? " (right)" : " (wrong)";
      facts.push(`recognized as ${classes[best[0]]}${verdict}`);
    }
    facts.push(count(clip.bodies, "body", "bodies"), count(clip.total, "frame", "frames"), `${clip.joints} joints (${clip.layout})`);
    if (clip.frames.length < clip.total) facts.push(`${clip.frames.length} of them carried in this page`);
    byId("clip-facts").textContent = facts.join(" · ");
    byId("probabilities-panel").hidden = !clip.probabilities;
    byId("probabilities").replaceChildren(
      ...(clip.probabilities ?? []).map(([label, share]) =>
        bar(classes[label], [share], `${(100 * share).toFixed(1)} %`, label === clip.label)),
    );
  }

  /** Offer what the clip has. */
  offer() {
    const { clip } = this;
    for (const node of document.querySelectorAll(".of-space")) node.hidden = clip.flat;
    byId("front").textContent = clip.flat ? "Reset view" : "Front";
    byId("links-controls").hidden = !clip.links;
    byId("matrix-panel").hidden = !clip.links;
    for (const node of document.querySelectorAll(".of-path")) node.hidden = !clip.path;
    for (const node of document.querySelectorAll(".of-response")) node.hidden = !clip.response;
    for (const node of document.querySelectorAll(".of-future")) node.hidden = !clip.future;
    const scrub = byId("scrub");
    scrub.max = clip.length - 1;
    scrub.parentElement.style.setProperty("--future-from", clip.futureStart / (clip.length - 1));
    if (clip.links && byId("link-types").children.length !== clip.links.types) this.offerTypes();
    if (clip.links) this.offerMatrices();
    const of = (body, what) => (clip.bodies > 1 ? `body ${body + 1}, ${what}` : what);
    const bodies = [...Array(Math.min(clip.bodies, COLORED_BODIES)).keys()];
    const paired = 2 * clip.skeleton.left.length;
    const sides = paired ? ["left", "right", ...(paired < clip.joints ? ["neither"] : [])] : [];
    byId("legend").replaceChildren(
      ...sides.map((side) => swatch(of(0, side), `body-${side === "neither" ? "middle" : side}`)),
      ...bodies.slice(1).map((body) => swatch(`body ${body + 1}`, bodyColor(body))),
      ...(clip.future ? bodies.map((body) => swatch(of(body, "predicted"), futureColor(body))) : []),
      ...(clip.response ? [swatch("feature response", "response")] : []),
    );
    byId("unseen").hidden = clip.complete;
    byId("how").textContent = clip.flat
      ? "Drag moves, the wheel zooms after a click. Point at a joint for its name. Keys: + −, space."
      : "Drag turns, the wheel zooms after a click. Point at a joint for its name. Keys: arrows, + −, space.";
    byId("key").textContent = [
      clip.links && "Arrows: A-links, colored by type, from the joint that sends to the joint that receives; the more probable of those drawn are thick.",
      clip.links?.blocks > 1 && "The model infers A-links within each body, none between bodies.",
      clip.response && "Circles: response of the last layer to each joint, larger where it is stronger.",
      clip.future && "The marked end of the timeline: frames that the model predicts.",
    ].filter(Boolean).join(" ");
  }

  offerTypes() {
    const boxes = [];
    for (let type = 0; type < this.clip.links.types; type++) {
      const box = make("input", { type: "checkbox", checked: true, value: String(type) });
      const mark = make("span", { className: "swatch" });
      mark.style.setProperty("--swatch", `var(--type-${(type % 5) + 1})`);
      boxes.push(make("label", { className: "check" }, box, mark, `type ${type + 1}`));
    }
    byId("link-types").replaceChildren(...boxes);
  }

  offerMatrices() {
    const { blocks, types } = this.clip.links;
    offerNumbers("matrix-type", "type ", types, ["all types, added up"]);
    offerNumbers("matrix-body", "", blocks);
    for (const id of ["matrix-type", "matrix-body"]) byId(id).parentElement.hidden = byId(id).length < 2;
  }

  /** Types of links that are on. */
  types() {
    return [...byId("link-types").querySelectorAll("input:checked")].map((box) => Number(box.value));
  }

  chooseLinks() {
    const types = this.types();
    const links = this.clip.allLinks(types);
    const strongest = links[0]?.prob ?? 0;
    const lowered = !this.thresholdSet && strongest > LEAST && strongest <= USUAL_THRESHOLD;
    if (!this.thresholdSet) {
      const weakest = links[Math.min(WEAK_LINKS_SHOWN, links.length) - 1]?.prob;
      byId("threshold").value = lowered ? Math.floor(100 * weakest) / 100 : USUAL_THRESHOLD; // not below its least
    }
    const threshold = Number(byId("threshold").value);
    byId("threshold-value").textContent = threshold.toFixed(2);
    byId("most-value").textContent = byId("most").value;
    const passing = links.filter(({ prob }) => prob > threshold);
    const none = types.length ? unremarkable(links, Math.max(threshold, USUAL_THRESHOLD)) : "No type is chosen";
    this.scene.links = none ? [] : passing.slice(0, Number(byId("most").value));
    const drawn = this.scene.links.length;
    const facts = [
      lowered && `no link is stronger than ${strongest.toFixed(2)}: threshold lowered`,
      linked(passing.length, links.length, threshold) + (types.length > 1 ? " (types added up)" : ""),
      passing.length > drawn && `the ${drawn} strongest are drawn`,
    ].filter(Boolean);
    byId("links-count").textContent =
      none ? `${none}; none is drawn` : [facts.join(", "), this.bodiesLinked()].filter(Boolean).join(": ");
    return this.draw();
  }

  /** Say how the links that are drawn are shared among several bodies. */
  bodiesLinked() {
    const { clip, scene } = this;
    if (clip.bodies < 2 || !scene.links.length) return "";
    const counts = Array(clip.bodies + 1).fill(0); // in each body, and between bodies
    for (const { receiver, sender } of scene.links) {
      const [to, from] = [clip.bodyOf(receiver), clip.bodyOf(sender)];
      counts[to === from ? to : clip.bodies] += 1;
    }
    const where = counts.map((count, body) => `${count} ${body < clip.bodies ? `in body ${body + 1}` : "between bodies"}`);
    return where.slice(0, clip.links.blocks > 1 ? -1 : undefined).join(", ");
  }

  /** Draw the frame; a call while one is being drawn is made up for afterwards. */
  async draw() {
    if (this.drawing) {
      this.stale = true;
      return;
    }
    this.drawing = true;
    do {
      this.stale = false;
      const { frame } = this;
      this.tell();
      await this.scene.draw(this.frame, {
        response: byId("show-response").checked,
        future: byId("show-future").checked,
      });
      byId("viewer").dataset.frame = frame;
    } while (this.stale);
    this.drawing = false;
  }

  tell() {
    const { clip, frame } = this;
    const after = frame - clip.futureStart + 1;
    const pose = clip.pose(frame);
    const lost = clip.unseen(pose);
    const { links } = this.scene;
    const hidden = links.filter(({ receiver, sender }) => !pose[receiver] || !pose[sender]).length;
    byId("unseen").textContent = lost && `${lost} not seen in this frame` + (hidden ? `, so that ${hidden} of ${links.length} links are not drawn` : "");
    byId("scrub").value = frame;
    byId("scrub").setAttribute("aria-valuetext", `frame ${clip.frames[frame]}`);
    byId("frame").textContent =
      `frame ${clip.frames[frame]} of ${clip.total - 1}` + (after > 0 ? ` · predicted +${after}` : "");
  }

  seek(frame) {
    this.frame = Math.max(0, Math.min(this.clip.length - 1, frame));
    return this.draw();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    this.playing = true;
    this.button("Pause", true);
    if (this.frame >= this.clip.length - 1) this.frame = 0;
    const { frames } = this.clip;
    let before = performance.now();
    let time = frames[this.frame];
    const step = async (now) => {
      if (!this.playing) return;
      time += ((now - before) / 1000) * FRAMES_PER_SECOND * Number(byId("speed").value);
      before = now;
      let next = this.frame;
      while (next < frames.length - 1 && frames[next + 1] <= time) next++;
      if (next !== this.frame) await this.seek(next);
      if (next >= frames.length - 1 && time > frames.at(-1) + FRAMES_PER_SECOND / 3) {
        time = frames[0]; // rest on the last frame for a moment, then go round
        await this.seek(0);
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  pause() {
    this.playing = false;
    this.button("Play", false);
  }

  button(text, pressed) {
    byId("play").textContent = text;
    byId("play").setAttribute("aria-pressed", String(pressed));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => this.scene.rotate(-0.15, 0),
      ArrowRight: () => this.scene.rotate(0.15, 0),
      ArrowUp: () => this.scene.rotate(0, 0.12),
      ArrowDown: () => this.scene.rotate(0, -0.12),
      "+": () => this.scene.zoom(1.14),
      "=": () => this.scene.zoom(1.14),
      "-": () => this.scene.zoom(0.88),
      Home: () => this.scene.face(this.scene.turned("front")),
      " ": () => this.toggle(),
      ",": () => this.seek(this.frame - 1),
      ".": () => this.seek(this.frame + 1),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  drawMatrix() {
    if (!this.clip?.links || !byId("matrix-panel").open) return;
    const [type, block] = [Number(byId("matrix-type").value) - 1, Number(byId("matrix-body").value)];
    linkMatrix(byId("matrix"), this.clip, type, block);
    const { blocks, types, size } = this.clip.links;
    const links = this.clip.allLinks(type < 0 ? [...Array(types).keys()] : [type])
      .filter(({ receiver }) => Math.floor(receiver / size) === block);
    const none = unremarkable(links, USUAL_THRESHOLD);
    byId("alike").hidden = !none;
    byId("alike").textContent = `${none}.`;
    const listed = none ? [] : links.slice(0, LINKS_LISTED).filter(({ prob }) => prob > LEAST);
    const name = (joint) => this.clip.jointName(joint, blocks > 1 || this.clip.bodies === 1);
    byId("strongest").replaceChildren(...listed.map(({ receiver, sender, prob }) =>
      bar(`${name(sender)} → ${name(receiver)}`, [prob], prob.toFixed(2))));
  }
}

const linked = (count, pairs, threshold) => `${count} of ${pairs} pairs linked above ${threshold.toFixed(2)}`;

/** Why none of the links, the strongest first, is worth a look; '' if some are. */
function unremarkable(links, threshold) {
  if (!(links[0]?.prob > LEAST)) return `Almost no link: no pair is linked above ${LEAST.toFixed(2)}`;
  const sure = links.filter(({ prob }) => prob > threshold).length;
  return sure >= 0.9 * links.length ? `${linked(sure, links.length, threshold)}: none stands out` : "";
}

/** Offer numbers from 1 to choose from, after other choices. */
function offerNumbers(id, word, count, others = []) {
  const names = [...others, ...Array.from({ length: count }, (_, k) => `${word}${k + 1}`)];
  if (byId(id).length === names.length) return;
  byId(id).replaceChildren(...names.map((name, k) => new Option(name, String(k))));
}

/** An entry of a list: name, a bar for each share, value. */
function bar(name, shares, value, truth = false) {
  const tracks = shares.map((share) => {
    const fill = make("span");
    fill.style.setProperty("--value", `${100 * share}%`);
    return make("span", { className: "track" }, fill);
  });
  return make("li", { className: truth ? "truth" : "" },
    make("span", {}, truth ? `${name} (true)` : name),
    make("span", { className: "two" }, ...tracks),
    make("span", { className: "value" }, value));
}

/** An entry of the legend. */
function swatch(text, name) {
  const mark = make("span", { className: "swatch" });
  mark.style.setProperty("--swatch", `var(--${name})`);
  return make("li", {}, mark, text);
}
