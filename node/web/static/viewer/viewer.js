// The viewer of one dataset: its state, and what each change of it asks for.

import { Camera } from "./camera.js";
import { Counter } from "./counts.js";
import { quantile } from "./histogram.js";
import { Pyramid } from "./pyramid.js";
import { Renderer } from "./renderer.js";
import { formatState, parseState } from "./state.js";

const NODES_FIRST = 2000; // 80 kB of index: with the root tile under 300 kB for a first picture.
const ADDRESS_MS = 250;
// Far apart in hue and lightness, also for colour-blind eyes.
const TINTS = ["ff6ad5", "5ad45a", "5cc8ff", "ffd23f", "ff8c5a", "b39bff"];

async function bytesOf(address, signal) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) throw new Error(answer.status === 404 ? "no node holds this at the moment" : `the node answers ${answer.status}`);
  return answer.arrayBuffer();
}

export class Viewer {
  constructor(canvas, { document, maps, overlay, onRebuild }) {
    this.canvas = canvas;
    this.samples = document.samples;
    this.luts = maps;
    this.overlay = overlay;
    this.onRebuild = onRebuild;
    this.camera = new Camera();
    this.state = parseState(location.hash);
    this.counter = new Counter((channel, found) => this.#counted(channel, found));
    this.counts = new Map();
    this.addressTimer = 0;
    this.renderer = new Renderer(canvas, {
      onFrame: () => this.#drawn(),
      onTrouble: (channel, error) => overlay.say(error ? `A part of ${channel.title} is not there yet: ${error.message}. Trying again.` : null),
    });
    this.resizing = new ResizeObserver(() => this.#resize());
    this.resizing.observe(canvas);
  }

  get maps() {
    return Object.keys(this.luts).filter((name) => name !== "depth");
  }

  get is3D() {
    return this.renderer.channels.some((channel) => channel.pyramid.meta.dimension === 3);
  }

  // A carried column, or z, of the first channel that has it.
  columnOf(name) {
    for (const { pyramid } of this.renderer.channels) {
      const found = name === "z" ? pyramid.meta.axes[2] : pyramid.column(name);
      if (found) return found;
    }
    return null;
  }

  async open() {
    await this.openSample(Math.min(this.state.sample, this.samples.length - 1), { isFirst: true });
  }

  async openSample(number, { isFirst = false } = {}) {
    for (const channel of [...this.renderer.channels]) this.renderer.removeChannel(channel);
    this.state.sample = number;
    if (!isFirst) Object.assign(this.state, { at: null, nm: null, rot: [0, 0], contrast: null, range: null, filters: new Map() });
    const all = this.samples[number]?.channels ?? [];
    const drawn = all.map((channel, index) => [channel, index]).filter(([channel]) => channel.pyramid);
    if (!drawn.length) throw new Error("this sample has no table that can be drawn");
    const opened = await Promise.all(drawn.map(([channel]) => this.#openPyramid(channel)));
    opened.forEach((pyramid, index) => {
      const [channel, inFile] = drawn[index];
      const added = this.renderer.addChannel(pyramid, {});
      added.number = inFile;
      added.title = channel.channel || channel.name;
      added.href = channel.pyramid.href;
    });
    this.#resize();
    this.#aim();
    this.#restyleAll();
    this.renderer.move();
    this.onRebuild();
    await Promise.all(this.renderer.channels.map((channel) => this.#openRest(channel)));
  }

  async #openPyramid(channel) {
    const { href } = channel.pyramid;
    const head = await bytesOf(`${href}/head?nodes=${NODES_FIRST}`);
    return new Pyramid(head, (k, signal) => bytesOf(`${href}/tiles/${k}`, signal));
  }

  async #openRest(channel) {
    const { nodes } = channel.pyramid;
    if (nodes.known === nodes.count) return;
    channel.pyramid.extend(await bytesOf(`${channel.href}/index?from=${nodes.known}&to=${nodes.count}`));
    this.renderer.extendChannel(channel);
  }

  // All the data, or where the address says.
  #aim() {
    const { state, camera } = this;
    const bounds = [0, 1, 2].map((axis) => {
      const ends = this.renderer.channels.map((channel) => channel.pyramid.bounds[axis]).filter(Boolean);
      return ends.length ? [Math.min(...ends.map((end) => end[0])), Math.max(...ends.map((end) => end[1]))] : undefined;
    });
    camera.fit(bounds.filter(Boolean));
    if (state.at) state.at.forEach((value, axis) => { camera.centre[axis] = value; });
    if (state.nm) camera.scaleTo(state.nm);
    if (this.is3D) {
      camera.azimuth = (state.rot[0] * Math.PI) / 180;
      camera.elevation = (state.rot[1] * Math.PI) / 180;
    }
    this.hasMoved = Boolean(state.at || state.nm);
  }

  showAll() {
    Object.assign(this.state, { at: null, nm: null, rot: [0, 0] });
    this.#aim();
    this.moved();
    this.hasMoved = false;
  }

  turnBack() {
    this.camera.azimuth = 0;
    this.camera.elevation = 0;
    this.moved();
  }

  goTo(place) {
    place.forEach((value, axis) => { this.camera.centre[axis] = value; });
    this.moved();
  }

  moved() {
    this.hasMoved = true;
    if (!this.state.isLocked && !this.state.contrast) for (const channel of this.renderer.channels) channel.look.isAuto = !this.#own(channel).contrast;
    this.renderer.move();
    this.#writeAddress();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio, 2);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    Object.assign(this.camera, { width, height });
    this.renderer.views = [{ x: 0, y: 0, width, height, camera: this.camera, channels: this.renderer.channels }];
    if (!this.hasMoved && this.renderer.channels.length) this.#aim();
    this.renderer.move();
  }

  #own(channel) {
    return this.state.channels.get(channel.number) ?? { contrast: null, gamma: null, tint: null, isVisible: true };
  }

  colorRange() {
    const { by, range } = this.state;
    const column = by && this.columnOf(by);
    return column ? range ?? [quantile(column, 0.01), quantile(column, 0.99)] : null;
  }

  // Brings the looks of all channels in line with the state.
  #restyleAll() {
    const { state } = this;
    const mapName = this.luts[state.map] ? state.map : "fire";
    this.renderer.channels.forEach((channel, index) => {
      const { pyramid } = channel;
      const own = this.#own(channel);
      channel.tint = own.tint ?? TINTS[index % TINTS.length];
      const zRange = state.filters.get("z") ?? null;
      const color = state.by === "z" ? (pyramid.meta.dimension === 3 ? "z" : null) : state.by && pyramid.column(state.by);
      const contrast = own.contrast ?? state.contrast;
      Object.assign(channel.look, {
        isVisible: own.isVisible, mode: state.mode, pointPx: state.pointPx, isLog: state.isLog,
        gamma: own.gamma ?? state.gamma, color: color || null, colorRange: this.colorRange(),
        isAuto: !contrast && !(state.isLocked && channel.look.contrast), contrast: contrast ?? channel.look.contrast ?? [0, 1],
        tint: [0, 2, 4].map((at) => parseInt(channel.tint.slice(at, at + 2), 16) / 255),
        mapName, mapLut: this.luts[mapName], rampName: "depth", rampLut: this.luts.depth,
        zRange: pyramid.meta.dimension === 3 ? zRange : null,
        filters: [...state.filters].map(([name, range]) => ({ column: pyramid.column(name), range })).filter(({ column }) => column),
      });
    });
  }

  // Changes the state; `effect` says how much has to be done anew.
  set(change, effect) {
    Object.assign(this.state, change);
    this.#restyleAll();
    if (effect === "restyle") this.renderer.restyle();
    else this.renderer.move();
    if (effect === "rebuild" || "mode" in change) this.onRebuild();
    this.#writeAddress();
  }

  setChannel(number, change) {
    const channel = this.renderer.channels[number];
    if (!channel) return;
    this.state.channels.set(channel.number, { ...this.#own(channel), ...change });
    this.set({}, "move");
  }

  filter(name, range) {
    if (range) this.state.filters.set(name, range);
    else this.state.filters.delete(name);
    this.set({}, "move");
  }

  brighten(factor, { isFromAuto = false } = {}) {
    const { channels } = this.renderer;
    if (!channels.length) return;
    if (isFromAuto && !this.state.contrast) this.autoHigh = channels[0].look.contrast[1];
    const high = isFromAuto ? this.autoHigh ?? channels[0].look.contrast[1] : channels[0].look.contrast[1];
    this.set({ contrast: [0, high * factor] }, "restyle");
  }

  lock(isLocked) {
    const contrast = isLocked ? [...this.renderer.channels[0].look.contrast] : null;
    this.set({ isLocked, contrast }, "restyle");
  }

  #drawn() {
    this.overlay.showScale(this.camera);
    this.overlay.showBadge(this.renderer.channels);
    const first = this.renderer.channels.find((channel) => channel.look.isVisible);
    const isSeveral = this.renderer.channels.filter((channel) => channel.look.isVisible).length > 1;
    if (first && (!isSeveral || first.look.color)) {
      this.overlay.showColors(first.look, first.look.color ? first.look.rampLut : first.look.mapLut);
    } else {
      this.overlay.colors.hidden = true;
    }
    if (this.renderer.isSettled && this.state.filters.size) this.#count();
  }

  #count() {
    for (const channel of this.renderer.channels) {
      const key = `${channel.drawn?.length} ${JSON.stringify([...this.state.filters])}`;
      if (channel.countedAt === key || !channel.drawn) continue;
      channel.countedAt = key;
      this.counter.count(channel, channel.look);
    }
  }

  #counted(channel, found) {
    this.counts.set(channel, found);
    const { channels } = this.renderer;
    const known = channels.filter((one) => this.counts.has(one));
    const placed = known.reduce((sum, one) => sum + one.pyramid.placed, 0);
    this.onCount?.(known.map((one) => this.counts.get(one)), placed);
  }

  // The state as text, where the camera is now.
  text() {
    const { camera } = this;
    const at = camera.centre.slice(0, this.is3D ? 3 : 2);
    const turned = [camera.azimuth, camera.elevation].map((angle) => Math.round((angle * 180_000) / Math.PI) / 1000);
    return formatState({ ...this.state, at: this.hasMoved ? at : null, nm: this.hasMoved ? camera.nmPerPx : null, rot: turned });
  }

  // Browsers allow few changes of the address a second.
  #writeAddress() {
    clearTimeout(this.addressTimer);
    this.addressTimer = setTimeout(() => history.replaceState(null, "", `#${this.text()}`), ADDRESS_MS);
  }

  // Somebody typed or followed another fragment.
  async readAddress() {
    const before = this.state.sample;
    this.state = parseState(location.hash);
    if (this.state.sample !== before) {
      await this.openSample(this.state.sample, { isFirst: true });
      return;
    }
    this.#aim();
    this.#restyleAll();
    this.renderer.move();
    this.onRebuild();
  }

  close() {
    clearTimeout(this.addressTimer);
    this.resizing.disconnect();
    this.renderer.close();
  }

  // For tests and for pages that embed this one.
  stats() {
    return {
      isSettled: this.renderer.isSettled, frames: this.renderer.frames, byteLength: this.renderer.byteLength,
      channels: this.renderer.channels.map((channel) => ({
        drawn: channel.drawn ?? [], isAll: channel.isAll, placed: channel.pyramid.placed, contrast: channel.look.contrast,
        total: channel.front ? this.renderer.total(channel) : 0, bytesFetched: channel.tiles.bytesFetched,
      })),
    };
  }
}
