// From text to numbers: how the page carries motion, links and the drawing library.

/** Missing joints have this x. */
const MISSING = -32768;
/** Of as many joints at most the names are said. */
const MOST_NAMED = 2;

const byId = (id) => document.getElementById(id);

/** Make an element: tag, properties, children. */
function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Decode base64 to bytes. */
function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return bytes;
}

/** Decode gzipped base64 to bytes. */
async function inflate(text) {
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Decode positions: differences from frame to frame, all low bytes before all high bytes. */
async function readMotion(text, frameSize) {
  const bytes = await inflate(text);
  const count = bytes.length / 2;
  const numbers = new Int16Array(count);
  for (let k = 0; k < count; k++) numbers[k] = bytes[k] | (bytes[count + k] << 8);
  for (let k = frameSize; k < count; k++) numbers[k] += numbers[k - frameSize];
  return numbers;
}

/** Unpack what a model makes of a clip. */
async function readModel(facts, frameSize) {
  const unpack = async (part) => part && { ...part, values: await inflate(part.values) };
  return {
    ...facts,
    future: facts.future && await readMotion(facts.future, frameSize),
    links: await unpack(facts.links),
    response: await unpack(facts.response),
  };
}

/** A clip as the scene draws it, with what one of the runs makes of it. */
class Clip {
  static async read(facts, layouts) {
    const clip = Object.assign(new Clip(), facts, { skeleton: layouts[facts.layout], follow: facts.path !== null });
    clip.joints = clip.skeleton.joints.length;
    clip.size = clip.bodies * clip.joints;
    clip.pos = await readMotion(facts.pos, clip.size * 3);
    clip.complete = !clip.pos.includes(MISSING);
    clip.shown = Array.from({ length: clip.size }, (_, joint) =>
      clip.frames.some((_, frame) => clip.pos[3 * (frame * clip.size + joint)] !== MISSING));
    clip.models = await Promise.all(facts.models.map((model) => readModel(model, clip.size * 3)));
    return clip.use(0);
  }

  /** Show what a run makes of it. */
  use(run) {
    return Object.assign(this, { probabilities: null, links: null, response: null, future: null }, this.models[run]);
  }

  /** Frames that are carried. */
  get length() {
    return this.frames.length;
  }

  /** First frame, among the carried, that the model had not seen; the length if there is none. */
  get futureStart() {
    return this.future ? this.length - this.steps : this.length;
  }

  /** The box that the scene shows. */
  get box() {
    return this.follow ? this.near : this.whole;
  }

  /** Where the bodies are on the ground in a frame, if the scene follows them. */
  place(frame) {
    return this.follow ? this.path[frame] : [0, 0];
  }

  /** Positions of all joints in a frame, null where a joint is missing. */
  pose(frame) {
    return this.unpack(this.pos, frame, this.place(frame));
  }

  /** Predicted positions beside a frame, null before the future begins. */
  prediction(frame) {
    return frame < this.futureStart ? null : this.unpack(this.future, frame - this.futureStart, this.place(frame));
  }

  unpack(numbers, frame, [x, y]) {
    const points = [];
    for (let k = frame * this.size * 3; points.length < this.size; k += 3) {
      points.push(
        numbers[k] === MISSING
          ? null
          : [numbers[k] * this.unit - x, numbers[k + 1] * this.unit - y, numbers[k + 2] * this.unit],
      );
    }
    return points;
  }

  /** Responses of all joints nearest to a frame, 0 to 1. */
  responses(frame) {
    const { frames, values } = this.response;
    const far = frames.map((at) => Math.abs(at - this.frames[frame]));
    const step = far.indexOf(Math.min(...far));
    return Array.from(values.subarray(step * this.size, (step + 1) * this.size), (v) => v / 255);
  }

  /** The joints and bodies that a pose lacks, in words; '' without any. */
  unseen(pose) {
    const words = [];
    for (let body = 0; body < this.bodies; body++) {
      const lost = [...pose.keys()].filter((joint) => !pose[joint] && this.bodyOf(joint) === body);
      const of = this.bodies > 1 ? ` of body ${body + 1}` : "";
      if (lost.length === this.joints && of) words.push(`body ${body + 1}`);
      else if (lost.length > MOST_NAMED) words.push(`${lost.length} joints${of}`);
      else if (lost.length) words.push(lost.map((joint) => this.jointName(joint, true)).join(" and ") + of);
    }
    return words.join(", ");
  }

  /** The body that a joint belongs to. */
  bodyOf(joint) {
    return Math.floor(joint / this.joints);
  }

  /** Name of a joint; of several bodies with the body's number, unless it is known. */
  jointName(joint, bodyKnown = this.bodies === 1) {
    const name = this.skeleton.joints[joint % this.joints].replaceAll("_", " ");
    return bodyKnown ? name : `${name}, body ${this.bodyOf(joint) + 1}`;
  }

  /** Links of the types that are on, between joints seen in any frame, the most probable first: {receiver, sender, type, prob}. */
  allLinks(types) {
    if (!this.links) return [];
    const { blocks, size, values } = this.links;
    const found = [];
    for (let block = 0; block < blocks; block++) {
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          if (i === j || !this.shown[block * size + i] || !this.shown[block * size + j]) continue;
          let prob = 0, type = -1, best = -1;
          for (const c of types) {
            const value = values[((block * this.links.types + c) * size + i) * size + j] / 255;
            prob += value;
            if (value > best) [best, type] = [value, c];
          }
          if (type >= 0) found.push({ receiver: block * size + i, sender: block * size + j, type, prob });
        }
      }
    }
    return found.sort((a, b) => b.prob - a.prob);
  }
}
