// One pyramid on the graphics card: its tiles, its tree with the weights of the cut, its programs.

import { CONTINUES, FINE, codeOf } from "./pyramid.js";
import { makeProgram, makeTexture } from "./gl.js";
import { pointFragment, pointVertex } from "./shaders.js";

const TREE_WIDTH = 512;
const SIGMA_NM_DEFAULT = 10;

export class Layer {
  constructor(gl, pyramid) {
    this.gl = gl;
    this.pyramid = pyramid;
    this.buffers = new Map(); // Node number -> { buffer, array, byteLength, used }.
    this.programs = new Map();
    this.byteLength = 0;
    this.clock = 0;
    const { nodes } = pyramid;
    this.treeHeight = Math.ceil(nodes.count / TREE_WIDTH);
    const shape = { width: TREE_WIDTH, height: this.treeHeight };
    this.tree = makeTexture(gl, { format: "RG32UI", ...shape, data: this.#links() });
    this.weights = new Float32Array(TREE_WIDTH * this.treeHeight);
    this.weightTexture = makeTexture(gl, { format: "R32F", ...shape, data: this.weights });
  }

  #links() {
    const { nodes } = this.pyramid;
    const links = new Uint32Array(2 * TREE_WIDTH * this.treeHeight);
    for (let k = 0; k < nodes.known; k += 1) {
      links[2 * k] = nodes.firstChild[k];
      links[2 * k + 1] = nodes.children[k] | ((nodes.flags[k] & CONTINUES) << 8);
    }
    return links;
  }

  // More of the index has come.
  extend() {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.tree);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, TREE_WIDTH, this.treeHeight, gl.RG_INTEGER, gl.UNSIGNED_INT, this.#links());
  }

  // Which column says how wide a splat is.
  get sigmaColumn() {
    const names = ["uncertainty_xy", "x_precision", "uncertainty", "sigma"];
    return names.map((name) => this.pyramid.column(name)).find(Boolean) ?? null;
  }

  has(k) {
    return this.buffers.has(k);
  }

  put(k, bytes) {
    const { gl, pyramid } = this;
    if (this.buffers.has(k)) return;
    const { meta, nodes } = pyramid;
    const n = nodes.n[k];
    const planes = meta.planes + (nodes.flags[k] & FINE ? meta.dimension - 1 : 0);
    const buffer = gl.createBuffer();
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, bytes, gl.STATIC_DRAW);
    for (let plane = 0; plane < planes; plane += 1) {
      gl.enableVertexAttribArray(plane);
      gl.vertexAttribIPointer(plane, 1, gl.UNSIGNED_INT, 4, 4 * n * plane);
    }
    gl.bindVertexArray(null);
    this.buffers.set(k, { buffer, array, byteLength: bytes.byteLength, used: this.clock });
    this.byteLength += bytes.byteLength;
  }

  drop(k) {
    const held = this.buffers.get(k);
    if (!held) return;
    this.gl.deleteBuffer(held.buffer);
    this.gl.deleteVertexArray(held.array);
    this.byteLength -= held.byteLength;
    this.buffers.delete(k);
  }

  // Tiles not drawn for the longest time, oldest first; the root stays.
  oldest() {
    return [...this.buffers].filter(([k]) => k !== 0).sort((a, b) => a[1].used - b[1].used);
  }

  // Sets the cut to draw: the weights that every point finds by walking down the tree.
  setCut(cut) {
    const { gl } = this;
    this.clock += 1;
    this.weights.fill(0);
    for (const k of cut) {
      this.weights[k] = 1 / this.pyramid.nodes.tau[k];
      const held = this.buffers.get(k);
      if (held) held.used = this.clock;
    }
    gl.bindTexture(gl.TEXTURE_2D, this.weightTexture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, TREE_WIDTH, this.treeHeight, gl.RED, gl.FLOAT, this.weights);
  }

  // Of a cut, what can be drawn now: tiles that are here, under parents that are drawn.
  drawable(cut) {
    const { parent } = this.pyramid.nodes;
    const drawn = new Set();
    for (const k of cut) {
      if (this.buffers.has(k) && (k === 0 || drawn.has(parent[k]))) drawn.add(k);
    }
    return [...drawn];
  }

  // Draws points of the nodes from a place on, at most `limit` of them; returns the next place.
  draw(nodes, place, limit, look) {
    const { gl, pyramid } = this;
    let { index, row } = place;
    let left = limit;
    let bound = null;
    while (index < nodes.length && left > 0) {
      const k = nodes[index];
      const n = pyramid.nodes.n[k];
      const isFine = (pyramid.nodes.flags[k] & FINE) !== 0;
      const count = Math.min(n - row, left);
      if (count > 0) {
        const program = this.#program(isFine, look);
        if (program !== bound) {
          this.#use(program, look);
          bound = program;
        }
        this.#place(program, k, look.camera);
        gl.bindVertexArray(this.buffers.get(k).array);
        gl.drawArrays(gl.POINTS, row, count);
        left -= count;
        row += count;
      }
      if (row >= n) {
        index += 1;
        row = 0;
      }
    }
    gl.bindVertexArray(null);
    return { index, row, isDone: index >= nodes.length };
  }

  #program(isFine, look) {
    const filters = look.filters.map((filter) => filter.column);
    const key = [isFine, look.mode, look.color?.name ?? look.color, ...filters.map((c) => c.name)].join("|");
    let found = this.programs.get(key);
    if (!found) {
      const { meta } = this.pyramid;
      const sigma = look.mode === "gaussian" ? this.sigmaColumn : null;
      const vertex = pointVertex(meta, { isFine, filters, color: look.color, sigma });
      const fragment = pointFragment({ mode: look.mode, isColored: Boolean(look.color) });
      found = makeProgram(this.gl, vertex, fragment);
      this.programs.set(key, found);
    }
    return found;
  }

  #use({ program, at }, look) {
    const { gl } = this;
    const { camera } = look;
    gl.useProgram(program);
    gl.uniformMatrix3fv(at.uTurn, false, camera.rotation().flat());
    gl.uniform2f(at.uScale, 2 / (camera.width * camera.nmPerPx), -2 / (camera.height * camera.nmPerPx));
    gl.uniform1f(at.uPxPerNm, look.pixelRatio / camera.nmPerPx);
    const [low, high] = look.zRange ?? [-3e38, 3e38];
    gl.uniform2f(at.uDepth, Math.max(low - camera.centre[2], -3e38), Math.min(high - camera.centre[2], 3e38));
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.tree);
    gl.uniform1i(at.uTree, 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.weightTexture);
    gl.uniform1i(at.uWeight, 1);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, look.ramp);
    gl.uniform1i(at.uRamp, 2);
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1i(at.uTreeWidth, TREE_WIDTH);
    gl.uniform1f(at.uPointPx, { density: 1, points: look.pointPx * look.pixelRatio, gaussian: 0 }[look.mode]);
    if (look.filters.length) {
      gl.uniform2uiv(at.uFilter, look.filters.flatMap(codesKept));
      gl.uniform2iv(at.uMissing, look.filters.flatMap(() => [0, 0]));
    }
    if (look.color === "z") {
      const [zLow, zHigh] = look.colorRange;
      gl.uniform3f(at.uColor, zLow - camera.centre[2], 1 / Math.max(zHigh - zLow, 1e-9), 0);
    } else if (look.color) {
      const [first, last] = look.colorRange.map((value) => codeOf(look.color, value));
      gl.uniform3f(at.uColor, first, 1 / Math.max(last - first, 1e-9), 0);
    }
    const sigma = look.mode === "gaussian" ? this.sigmaColumn : null;
    gl.uniform1f(at.uSigmaNm, SIGMA_NM_DEFAULT);
    if (sigma) {
      const isLog = sigma.scale === "log";
      const span = Math.max(sigma.codes - 1, 1);
      const step = isLog ? Math.log(sigma.hi / sigma.lo) / span : (sigma.hi - sigma.lo) / span;
      gl.uniform4f(at.uSigma, sigma.lo, step, sigma.first, isLog ? 1 : 0);
    }
  }

  // The corner relative to the camera in double precision: no jitter far from the origin.
  #place({ at }, k, camera) {
    const { gl } = this;
    const { meta, nodes } = this.pyramid;
    const side = meta.side / 2 ** nodes.level[k];
    const corner = [nodes.ix[k], nodes.iy[k], nodes.iz[k]].map(
      (cell, axis) => meta.origin[axis] + cell * side - camera.centre[axis],
    );
    if (meta.dimension === 2) corner[2] = 0;
    gl.uniform3f(at.uTile, ...corner);
    gl.uniform1f(at.uSide, side);
    gl.uniform1i(at.uNode, k);
  }

  free() {
    const { gl } = this;
    for (const k of [...this.buffers.keys()]) this.drop(k);
    for (const { program } of this.programs.values()) gl.deleteProgram(program);
    this.programs.clear();
    gl.deleteTexture(this.tree);
    gl.deleteTexture(this.weightTexture);
  }
}

// The codes that a range of values keeps; nothing at all if the range lies outside of all codes.
export function codesKept({ column, range }) {
  const last = column.first + column.codes - 1;
  const low = Math.max(Math.ceil(codeOf(column, range[0]) - 1e-6), column.first);
  const high = Math.min(Math.floor(codeOf(column, range[1]) + 1e-6), last);
  return high < low ? [1, 0] : [low, high];
}
