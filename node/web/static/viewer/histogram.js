// A column's exact histogram with a range that is dragged over it, or typed beside it.

import { valueOf } from "./pyramid.js";
import { formatValue } from "./words.js";

const HEIGHT = 44;

// Bin edges as values: bins are equal steps of codes, so a logarithm is spread evenly.
export function binEdges(column) {
  const bins = column.histogram.length;
  const perBin = Math.ceil(column.codes / Math.max(bins, 1));
  const edge = (bin) => {
    if (column.scale === "position") return column.lo + ((column.first + bin * perBin) / 2 ** 32) * (column.hi - column.lo);
    return valueOf(column, column.first + Math.min(bin * perBin, column.codes - 1));
  };
  return Array.from({ length: bins + 1 }, (_, bin) => edge(bin));
}

// The value below which a part of a column's values lies.
export function quantile(column, part) {
  const edges = binEdges(column);
  const total = column.histogram.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (let bin = 0; bin < column.histogram.length; bin += 1) {
    seen += column.histogram[bin];
    if (seen >= part * total) return edges[bin + (part > 0.5 ? 1 : 0)];
  }
  return edges[edges.length - 1];
}

export class RangePicker {
  constructor(column, { label, range, onChange }) {
    this.column = column;
    this.edges = binEdges(column);
    this.full = [this.edges[0], this.edges[this.edges.length - 1]];
    this.range = range ?? [...this.full];
    this.onChange = onChange;
    this.element = document.createElement("div");
    this.element.className = "picker";
    this.canvas = document.createElement("canvas");
    this.canvas.height = HEIGHT;
    this.low = this.#input(`${label}, from`, 0);
    this.high = this.#input(`${label}, to`, 1);
    const row = document.createElement("div");
    row.className = "ends";
    row.append(this.low, this.high);
    this.element.append(this.canvas, row);
    this.#listen();
    this.#write();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  get isFull() {
    return this.range[0] <= this.full[0] && this.range[1] >= this.full[1];
  }

  set(range) {
    this.range = range ?? [...this.full];
    this.#write();
    this.draw();
  }

  #input(label, end) {
    const input = document.createElement("input");
    input.type = "number";
    input.step = "any";
    input.setAttribute("aria-label", label);
    input.addEventListener("change", () => {
      const value = Number(input.value);
      if (input.value !== "" && Number.isFinite(value)) this.#change(end, value);
      else this.#write();
    });
    return input;
  }

  #change(end, value) {
    const range = [...this.range];
    range[end] = Math.min(Math.max(value, this.full[0]), this.full[1]);
    if (range[0] > range[1]) range[1 - end] = range[end];
    this.range = range;
    this.#write();
    this.draw();
    this.onChange(this.isFull ? null : range);
  }

  #write() {
    this.low.value = formatValue(this.range[0]);
    this.high.value = formatValue(this.range[1]);
  }

  #valueAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const at = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * (this.edges.length - 1);
    const bin = Math.min(Math.floor(at), this.edges.length - 2);
    return this.edges[bin] + (at - bin) * (this.edges[bin + 1] - this.edges[bin]);
  }

  #listen() {
    let end = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      const value = this.#valueAt(event);
      end = Math.abs(this.#place(value) - this.#place(this.range[0])) <= Math.abs(this.#place(value) - this.#place(this.range[1])) ? 0 : 1;
      this.canvas.setPointerCapture(event.pointerId);
      this.#change(end, value);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (end !== null && event.buttons) this.#change(end, this.#valueAt(event));
    });
    this.canvas.addEventListener("pointerup", () => { end = null; });
    this.canvas.addEventListener("dblclick", () => {
      this.set(null);
      this.onChange(null);
    });
  }

  // Where a value lies across the picture, 0 to 1.
  #place(value) {
    const { edges } = this;
    let bin = 0;
    while (bin < edges.length - 2 && edges[bin + 1] <= value) bin += 1;
    const width = edges[bin + 1] - edges[bin];
    return (bin + (width > 0 ? Math.min(Math.max((value - edges[bin]) / width, 0), 1) : 0)) / (edges.length - 1);
  }

  draw() {
    const width = Math.max(1, Math.round(this.canvas.clientWidth * devicePixelRatio));
    this.canvas.width = width;
    this.canvas.height = HEIGHT * devicePixelRatio;
    const context = this.canvas.getContext("2d");
    const { histogram } = this.column;
    // By the root: a few bins often hold nearly everything.
    const most = Math.sqrt(Math.max(...histogram, 1));
    const [from, to] = this.range.map((value) => this.#place(value) * width);
    for (let bin = 0; bin < histogram.length; bin += 1) {
      const left = (bin / histogram.length) * width;
      const right = ((bin + 1) / histogram.length) * width;
      const height = (Math.sqrt(histogram[bin]) / most) * this.canvas.height;
      context.fillStyle = right > from && left < to ? "#8fb8e8" : "#3a424c";
      context.fillRect(left, this.canvas.height - height, Math.max(right - left, 1), height);
    }
    context.fillStyle = "#e8eaed";
    for (const at of [from, to]) context.fillRect(Math.min(Math.max(at - devicePixelRatio, 0), width - 2), 0, 2 * devicePixelRatio, this.canvas.height);
  }
}
