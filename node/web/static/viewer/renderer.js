// Draws channels: each adds up its points in a float texture of its own, colours come after.
//
// What is on the screen is always a complete, unbiased picture of some cut: while one moves, of a
// cut small enough for a single frame; at rest, of ever finer ones, which are drawn out of sight
// over several frames and shown when they are complete.

import { chooseCut } from "./cut.js";
import { Target, isSoftware, makeProgram, makeTexture, openContext } from "./gl.js";
import { Layer } from "./layer.js";
import { fullVertex, imageFragment, imageVertex, shrinkFragment, toneFragment } from "./shaders.js";
import { Tiles } from "./tiles.js";

const SETTLE_MS = 120; // After so long without a move, the picture is drawn in full.
const GPU_BYTES_MAX = 256 << 20;
const SHRUNK_MAX = 256;
const PER_PIXEL = 1.5; // Points on a pixel beyond which more change nothing that can be seen.
const BUDGETS = {
  hardware: { moving: 1_000_000, resting: 4_000_000, frame: 1_500_000 },
  phone: { moving: 150_000, resting: 1_000_000, frame: 300_000 },
  software: { moving: 20_000, resting: 400_000, frame: 40_000 },
};

export class Renderer {
  constructor(canvas, { onFrame, onTrouble }) {
    this.canvas = canvas;
    this.onFrame = onFrame;
    this.onTrouble = onTrouble;
    this.gl = openContext(canvas);
    const isPhone = matchMedia("(pointer: coarse)").matches;
    this.budget = BUDGETS[isSoftware(this.gl) ? "software" : isPhone ? "phone" : "hardware"];
    this.channels = [];
    this.underlay = null;
    this.views = []; // Rectangles of the canvas: { x, y, width, height, camera, channels }.
    this.movedAt = -Infinity;
    this.isMoved = true;
    this.isStale = true;
    this.pass = null;
    this.frame = 0;
    this.frames = 0;
    this.isClosed = false;
    this.#setUp();
    this.canvas.addEventListener("webglcontextlost", this.#onLost = (event) => {
      event.preventDefault();
      cancelAnimationFrame(this.frame);
      this.frame = 0;
    });
    this.canvas.addEventListener("webglcontextrestored", this.#onRestored = () => this.#restore());
  }

  #onLost;
  #onRestored;

  #setUp() {
    const { gl } = this;
    this.tone = makeProgram(gl, fullVertex, toneFragment);
    this.shrink = makeProgram(gl, fullVertex, shrinkFragment);
    this.image = makeProgram(gl, imageVertex, imageFragment);
    this.none = gl.createVertexArray(); // For programs that need no input.
    this.maps = new Map();
    this.shrunk = new Target(gl, "RGBA32F", SHRUNK_MAX, SHRUNK_MAX);
  }

  // After a driver has crashed everything on the card is gone; the bytes of the tiles are not.
  #restore() {
    this.#setUp();
    for (const channel of this.channels) {
      channel.layer = new Layer(this.gl, channel.pyramid);
      channel.front = channel.back = null;
      for (const [k, bytes] of channel.tiles.held) channel.layer.put(k, bytes);
    }
    if (this.underlay) this.setUnderlay(this.underlay);
    this.pass = null;
    this.move();
  }

  // Adds a channel; `look` is changed from outside, followed by `restyle()` or `move()`.
  addChannel(pyramid, look) {
    const channel = { pyramid, look, layer: new Layer(this.gl, pyramid), front: null, back: null };
    channel.tiles = new Tiles(pyramid, {
      onTile: (k, bytes) => {
        channel.layer.put(k, bytes);
        this.isStale = true;
        this.#evict();
        this.#request();
      },
      onTrouble: (error) => this.onTrouble(channel, error),
    });
    channel.layer.put(0, pyramid.root);
    this.channels.push(channel);
    this.move();
    return channel;
  }

  // More of a pyramid's index is here.
  extendChannel(channel) {
    channel.layer.extend();
    this.move();
  }

  removeChannel(channel) {
    channel.tiles.close();
    channel.layer.free();
    channel.front?.free();
    channel.back?.free();
    this.channels = this.channels.filter((other) => other !== channel);
    for (const view of this.views) view.channels = view.channels.filter((other) => other !== channel);
    this.pass = null;
    this.move();
  }

  setUnderlay(underlay) {
    const { gl } = this;
    if (this.underlay?.texture) gl.deleteTexture(this.underlay.texture);
    this.underlay = underlay;
    if (underlay) {
      underlay.texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, underlay.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, underlay.source);
      gl.generateMipmap(gl.TEXTURE_2D);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    }
    this.restyle();
  }

  get pixelRatio() {
    return this.canvas.width / Math.max(this.canvas.clientWidth, 1);
  }

  // The view moved, or other points count: everything is to be drawn anew.
  move() {
    this.movedAt = performance.now();
    this.isMoved = true;
    this.pass = null;
    this.#request();
  }

  // Only colours changed.
  restyle() {
    this.isRestyled = true;
    this.#request();
  }

  // Whether what is shown is what the view asks for and the budget allows.
  get isSettled() {
    return !this.isMoved && !this.isStale && !this.pass && !this.isRestyled
      && this.channels.every((channel) => channel.tiles.missing === 0);
  }

  #request() {
    if (!this.frame && !this.isClosed) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = 0;
    if (this.isClosed || this.gl.isContextLost()) return;
    const isResting = performance.now() - this.movedAt >= SETTLE_MS;
    if (this.isMoved) {
      this.#drawAtOnce();
      this.isMoved = false;
      this.isStale = true;
    } else if (isResting && (this.pass || this.isStale)) {
      this.#drawOn();
    } else if (this.isRestyled) {
      this.#show();
    }
    if (this.isStale || this.pass) this.#request();
  }

  // One picture within one frame, of few points: what moves must not wait.
  #drawAtOnce() {
    for (const view of this.views) {
      const shown = view.channels.filter((channel) => channel.look.isVisible);
      for (const channel of shown) {
        const pointsMax = this.budget.moving / shown.length;
        const cut = this.#cut(channel, view, pointsMax);
        const nodes = channel.layer.drawable(cut.nodes);
        channel.front = this.#target(channel, view, channel.front);
        this.#begin(channel.front);
        channel.layer.setCut(nodes);
        channel.layer.draw(nodes, { index: 0, row: 0 }, Infinity, this.#look(channel, view));
        this.#note(channel, nodes, cut);
      }
    }
    this.#show();
  }

  // A part of the full picture, out of sight; the whole of it, once complete, into sight.
  #drawOn() {
    if (!this.pass) {
      this.isStale = false;
      this.pass = { at: 0, work: [] };
      for (const view of this.views) {
        const shown = view.channels.filter((channel) => channel.look.isVisible);
        for (const channel of shown) {
          const cut = this.#cut(channel, view, this.budget.resting / shown.length);
          channel.tiles.want(cut.nodes);
          const nodes = channel.layer.drawable(cut.nodes);
          this.pass.work.push({ channel, view, cut, nodes, place: { index: 0, row: 0 }, isBegun: false });
        }
      }
    }
    let left = this.budget.frame;
    const { work } = this.pass;
    while (this.pass.at < work.length && left > 0) {
      const item = work[this.pass.at];
      const { channel, view } = item;
      if (!item.isBegun) {
        channel.back = this.#target(channel, view, channel.back);
        this.#begin(channel.back);
        channel.layer.setCut(item.nodes);
        item.isBegun = true;
      }
      const before = item.place;
      this.#bind(channel.back);
      item.place = channel.layer.draw(item.nodes, before, left, this.#look(channel, view));
      left -= pointsBetween(channel.pyramid.nodes, item.nodes, before, item.place);
      if (!item.place.isDone) return;
      this.pass.at += 1;
    }
    if (this.pass.at < work.length) return;
    for (const { channel, nodes, cut } of work) {
      [channel.front, channel.back] = [channel.back, channel.front];
      this.#note(channel, nodes, cut);
    }
    this.pass = null;
    for (const { channel } of work) {
      if (channel.look.isAuto) this.#autoContrast(channel);
    }
    this.#show();
  }

  #cut(channel, view, pointsMax) {
    const { camera } = view;
    // Splats reach into the view from outside; nothing may appear at the edge while one pans.
    const margin = channel.look.mode === "density" ? 1 : Math.min(64, 8 + 60 / camera.nmPerPx);
    return chooseCut(channel.pyramid, camera, {
      pointsMax, perPixel: PER_PIXEL * this.pixelRatio ** 2, margin, zRange: channel.look.zRange,
    });
  }

  #note(channel, nodes, cut) {
    channel.drawn = nodes;
    channel.isAll = cut.isWhole && nodes.length === cut.nodes.length;
  }

  #look(channel, view) {
    const { look } = channel;
    return { ...look, camera: view.camera, pixelRatio: this.pixelRatio, ramp: this.map(look.rampName ?? "depth", look.rampLut) };
  }

  #target(channel, view, target) {
    const ratio = this.pixelRatio;
    const format = channel.look.color ? "RGBA32F" : "R32F";
    const width = Math.max(1, Math.round(view.width * ratio));
    const height = Math.max(1, Math.round(view.height * ratio));
    if (target?.format === format && target.width === width && target.height === height) return target;
    target?.free();
    return new Target(this.gl, format, width, height);
  }

  #begin(target) {
    target.clear();
    this.#bind(target);
  }

  #bind(target) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
    gl.viewport(0, 0, target.width, target.height);
    gl.disable(gl.SCISSOR_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
  }

  // A colour map as a texture of 256 colours.
  map(name, lut) {
    let texture = this.maps.get(name);
    if (!texture) {
      const data = new Uint8Array(256 * 4).fill(255);
      for (let level = 0; level < 256; level += 1) data.set(lut.subarray(3 * level, 3 * level + 3), 4 * level);
      texture = makeTexture(this.gl, { format: "RGBA8", width: 256, height: 1, data });
      this.maps.set(name, texture);
    }
    return texture;
  }

  // Puts the sums on the screen. Channels add up like light.
  #show() {
    const { gl } = this;
    this.isRestyled = false;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
    gl.bindVertexArray(this.none);
    for (const view of this.views) {
      this.#window(view);
      if (this.underlay) this.#drawUnderlay(view);
      const shown = view.channels.filter((channel) => channel.look.isVisible && channel.front);
      for (const channel of shown) this.#toneMap(channel, view, shown.length > 1);
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.bindVertexArray(null);
    this.frames += 1;
    this.onFrame();
  }

  // Where a view lies on the canvas, in device pixels from its lower left corner.
  #window(view) {
    const { gl } = this;
    const ratio = this.pixelRatio;
    const width = Math.max(1, Math.round(view.width * ratio));
    const height = Math.max(1, Math.round(view.height * ratio));
    const x = Math.round(view.x * ratio);
    const y = this.canvas.height - Math.round(view.y * ratio) - height;
    gl.viewport(x, y, width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(x, y, width, height);
    return [x, y];
  }

  #toneMap(channel, view, isTinted) {
    const { gl, tone } = this;
    const { look } = channel;
    const from = this.#window(view);
    gl.useProgram(tone.program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, channel.front.texture);
    gl.uniform1i(tone.at.uSum, 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.map(look.mapName, look.mapLut));
    gl.uniform1i(tone.at.uMap, 1);
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1f(tone.at.uPerUm2, this.perUm2(view.camera));
    gl.uniform3f(tone.at.uContrast, look.contrast[0], look.contrast[1], look.gamma);
    gl.uniform1i(tone.at.uLog, look.isLog ? 1 : 0);
    gl.uniform1i(tone.at.uColored, look.color ? 1 : 0);
    gl.uniform1i(tone.at.uTinted, isTinted ? 1 : 0);
    gl.uniform3f(tone.at.uTint, ...look.tint);
    gl.uniform2i(tone.at.uFrom, ...from);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  #drawUnderlay(view) {
    const { gl, image, underlay } = this;
    const { camera } = view;
    gl.useProgram(image.program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, underlay.texture);
    gl.uniform1i(image.at.uImage, 0);
    gl.uniformMatrix3fv(image.at.uTurn, false, camera.rotation().flat());
    gl.uniform3f(image.at.uCorner, underlay.corner[0] - camera.centre[0], underlay.corner[1] - camera.centre[1], 0);
    gl.uniform2f(image.at.uExtent, ...underlay.extent);
    gl.uniform2f(image.at.uScale, 2 / (camera.width * camera.nmPerPx), -2 / (camera.height * camera.nmPerPx));
    gl.uniform1f(image.at.uAlpha, underlay.alpha);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  // From sums in a device pixel to localizations per square micrometre.
  perUm2(camera) {
    const side_um = camera.nmPerPx / this.pixelRatio / 1000;
    return 1 / (side_um * side_um);
  }

  // Sums and greatest values of blocks of a channel's pixels: [total, most] for each block.
  blocks(channel) {
    const { gl, shrink } = this;
    const target = channel.front;
    const block = Math.ceil(Math.max(target.width, target.height) / SHRUNK_MAX);
    const width = Math.ceil(target.width / block);
    const height = Math.ceil(target.height / block);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shrunk.frame);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.SCISSOR_TEST);
    gl.disable(gl.BLEND);
    gl.useProgram(shrink.program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, target.texture);
    gl.uniform1i(shrink.at.uSum, 0);
    gl.uniform2i(shrink.at.uSize, target.width, target.height);
    gl.uniform1i(shrink.at.uBlock, block);
    gl.uniform1i(shrink.at.uColored, channel.look.color ? 1 : 0);
    gl.bindVertexArray(this.none);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindVertexArray(null);
    const found = new Float32Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, found);
    return found;
  }

  // What is drawn in all: the estimate of how many localizations are in view.
  total(channel) {
    const found = this.blocks(channel);
    let sum = 0;
    for (let index = 0; index < found.length; index += 4) sum += found[index];
    return sum;
  }

  // The brightest but for a few: of the pixels with anything in them, 99.7 % are at or below.
  #autoContrast(channel) {
    const view = this.views.find((one) => one.channels.includes(channel));
    const found = this.blocks(channel);
    const most = [];
    for (let index = 1; index < found.length; index += 4) if (found[index] > 0) most.push(found[index]);
    if (!most.length) return;
    const sorted = Float32Array.from(most).sort();
    const high = sorted[Math.min(sorted.length - 1, Math.floor(0.985 * sorted.length))];
    channel.look.contrast = [0, high * this.perUm2(view.camera)];
  }

  // Forgets tiles not drawn for the longest time, beyond what the graphics card should hold.
  #evict() {
    let total = this.channels.reduce((sum, channel) => sum + channel.layer.byteLength, 0);
    if (total <= GPU_BYTES_MAX) return;
    for (const channel of this.channels) {
      const needed = new Set([...(channel.drawn ?? []), ...channel.tiles.wanted]);
      for (const [k, held] of channel.layer.oldest()) {
        if (total <= GPU_BYTES_MAX) return;
        if (needed.has(k)) continue;
        channel.layer.drop(k);
        channel.tiles.release(k);
        total -= held.byteLength;
      }
    }
  }

  // Bytes on the graphics card.
  get byteLength() {
    const targets = this.channels.flatMap((channel) => [channel.front, channel.back]).filter(Boolean);
    const tiles = this.channels.reduce((sum, channel) => sum + channel.layer.byteLength, 0);
    return targets.reduce((sum, target) => sum + target.byteLength, tiles);
  }

  // The picture as it is now, drawn again so that there is something to read.
  async picture() {
    this.#show();
    return new Promise((resolve, reject) => {
      this.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture came out"))), "image/png");
    });
  }

  close() {
    this.isClosed = true;
    cancelAnimationFrame(this.frame);
    for (const channel of [...this.channels]) this.removeChannel(channel);
    const { gl } = this;
    for (const texture of this.maps.values()) gl.deleteTexture(texture);
    for (const { program } of [this.tone, this.shrink, this.image]) gl.deleteProgram(program);
    this.shrunk.free();
    gl.deleteVertexArray(this.none);
    this.canvas.removeEventListener("webglcontextlost", this.#onLost);
    this.canvas.removeEventListener("webglcontextrestored", this.#onRestored);
    gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function pointsBetween(nodes, order, from, to) {
  let sum = 0;
  for (let index = from.index; index < Math.min(to.index, order.length); index += 1) sum += nodes.n[order[index]];
  return sum - from.row + to.row;
}
