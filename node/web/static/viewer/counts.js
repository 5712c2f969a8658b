// How many localizations the filters keep: exact once all are here, else an estimate with its
// standard error (Horvitz and Thompson, 1952).

import { CONTINUES, FINE, bitCount, codeReader } from "./pyramid.js";
import { codesKept } from "./layer.js";

const SLICE_ROWS = 40_000; // A few milliseconds: whoever pans does not notice.

export class Counter {
  constructor(onCount) {
    this.onCount = onCount;
    this.job = 0;
  }

  // Counts the rows of a channel's drawn tiles; a later call ends the one before.
  async count(channel, { filters, zRange }) {
    const job = (this.job += 1);
    const { pyramid, drawn } = channel;
    const { nodes, meta } = pyramid;
    const isDrawn = new Set(drawn);
    const step = meta.side / 2 ** 32;
    let sum = 0;
    let variance = 0;
    let rows = 0;
    for (const k of drawn) {
      const bytes = channel.tiles.held.get(k);
      if (!bytes) continue;
      const words = new Uint32Array(bytes);
      const n = nodes.n[k];
      const fine = nodes.flags[k] & FINE ? meta.dimension - 1 : 0;
      const kept = filters.map(({ column, range }) => {
        const [low, high] = codesKept({ column, range });
        const read = codeReader(column, words, n, fine);
        return (row) => { const code = read(row); return code >= low && code <= high; };
      });
      if (zRange && meta.dimension === 3) {
        const scale = 2 ** (32 - nodes.level[k]);
        kept.push((row) => {
          const z = meta.origin[2] + (nodes.iz[k] * scale + ((words[(fine + 1) * n + row] & 0xffff) * scale) / 65536) * step;
          return z >= zRange[0] && z <= zRange[1];
        });
      }
      for (let row = 0; row < n; row += 1) {
        if (!kept.every((test) => test(row))) continue;
        const at = fine * n + row;
        const z = meta.dimension === 3 ? words[at + n] & 0xffff : 0;
        const tau = tauOf(nodes, isDrawn, k, words[at] & 0xffff, words[at] >>> 16, z);
        sum += 1 / tau;
        variance += (1 - tau) / (tau * tau);
      }
      rows += n;
      if (rows >= SLICE_ROWS) {
        rows = 0;
        await new Promise((resolve) => setTimeout(resolve));
        if (job !== this.job) return;
      }
    }
    this.onCount(channel, { count: sum, error: Math.sqrt(variance) });
  }
}

// The probability with which the cut shows the rows around a point: that of its deepest drawn cell.
export function tauOf(nodes, isDrawn, from, x, y, z) {
  let node = from;
  for (let bit = 15; bit >= 0;) {
    const children = nodes.children[node];
    if (!children) break;
    let child = nodes.firstChild[node];
    if (!(nodes.flags[node] & CONTINUES)) {
      const octant = ((x >> bit) & 1) | (((y >> bit) & 1) << 1) | (((z >> bit) & 1) << 2);
      if (!(children & (1 << octant))) break;
      child += bitCount(children & ((1 << octant) - 1));
      bit -= 1;
    }
    if (!isDrawn.has(child)) break;
    node = child;
  }
  return nodes.tau[node];
}
