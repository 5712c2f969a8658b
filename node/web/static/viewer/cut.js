// Chooses which tiles to draw: a cut through the tree, refined where the screen asks for more.
//
// A node is drawn only if its parent is. Below the cut a cell shows its rows with the probability
// tau of the deepest drawn node around it, so any cut is an unbiased sample with known weights.

import { CONTINUES } from "./pyramid.js";

// A binary heap of [priority, node], the greatest first.
class Heap {
  constructor() {
    this.items = [];
  }

  push(priority, node) {
    const { items } = this;
    let at = items.length;
    items.push([priority, node]);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (items[up][0] >= items[at][0]) break;
      [items[up], items[at]] = [items[at], items[up]];
      at = up;
    }
  }

  pop() {
    const { items } = this;
    const top = items[0];
    const last = items.pop();
    if (items.length) {
      items[0] = last;
      let at = 0;
      for (;;) {
        const left = 2 * at + 1;
        if (left >= items.length) break;
        const right = left + 1;
        const child = right < items.length && items[right][0] > items[left][0] ? right : left;
        if (items[child][0] <= items[at][0]) break;
        [items[child], items[at]] = [items[at], items[child]];
        at = child;
      }
    }
    return top;
  }

  get size() {
    return this.items.length;
  }
}

// How a node's cell lies on the screen: its middle and half its extent, in CSS pixels.
export function projector(pyramid, camera) {
  const { meta, nodes } = pyramid;
  const [right, down] = camera.rotation();
  const isFlat = meta.dimension === 2;
  return (k, out) => {
    const side = meta.side / 2 ** nodes.level[k];
    const middle = [
      meta.origin[0] + (nodes.ix[k] + 0.5) * side,
      meta.origin[1] + (nodes.iy[k] + 0.5) * side,
      isFlat ? camera.centre[2] : meta.origin[2] + (nodes.iz[k] + 0.5) * side,
    ];
    [out.x, out.y] = camera.toScreen(middle);
    const half = side / 2 / camera.nmPerPx;
    const depth = isFlat ? 0 : half;
    out.halfX = half * (Math.abs(right[0]) + Math.abs(right[1])) + depth * Math.abs(right[2]);
    out.halfY = half * (Math.abs(down[0]) + Math.abs(down[1])) + depth * Math.abs(down[2]);
    return out;
  };
}

// Returns the nodes to draw, the wanted ones first. `margin` in CSS pixels is what splats may reach
// into the view from outside it.
export function chooseCut(pyramid, camera, { pointsMax, perPixel, margin, zRange = null }) {
  const { nodes, meta } = pyramid;
  const project = projector(pyramid, camera);
  const box = {};
  const cut = [];
  let points = 0;
  let isWhole = true; // Whether every localization in view is in the cut.
  const inView = (k) => {
    project(k, box);
    if (box.x + box.halfX < -margin || box.x - box.halfX > camera.width + margin) return false;
    if (box.y + box.halfY < -margin || box.y - box.halfY > camera.height + margin) return false;
    if (!zRange || meta.dimension === 2) return true;
    const side = meta.side / 2 ** nodes.level[k];
    const low = meta.origin[2] + nodes.iz[k] * side;
    return low <= zRange[1] && low + side >= zRange[0];
  };
  const heap = new Heap();
  const offer = (k) => {
    if (!inView(k)) return;
    // Rows that this tile would add per pixel of its cell: where the picture gains the most.
    const area = Math.max(4 * box.halfX * box.halfY, 1);
    heap.push(k === 0 ? Infinity : area, k);
  };
  offer(0);
  if (!heap.size) {
    // The data are out of sight; the root is still what one finds them by.
    return { nodes: [0], points: nodes.n[0], isWhole: true };
  }
  while (heap.size) {
    const [area, k] = heap.pop();
    if (k !== 0) {
      const parent = nodes.parent[k];
      const shown = nodes.total[k] * nodes.tau[parent];
      // Enough is enough: more than so many points on a pixel change nothing that can be seen.
      if (shown > area * perPixel || points + nodes.n[k] > pointsMax) {
        isWhole = false;
        continue;
      }
    }
    cut.push(k);
    points += nodes.n[k];
    if (!nodes.children[k]) continue;
    let child = nodes.firstChild[k];
    for (let mask = nodes.children[k]; mask; mask &= mask - 1, child += 1) {
      if (child >= nodes.known) {
        isWhole = false; // Further down than the index is here.
        break;
      }
      // Where a cell continues in a child, that child is the same cell.
      if (nodes.flags[k] & CONTINUES) heap.push(area, child);
      else offer(child);
    }
  }
  return { nodes: cut, points, isWhole };
}
