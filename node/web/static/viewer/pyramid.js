// Reads a point pyramid (docs/pyramid.md): its head, then tile after tile.
//
// The file may come from a stranger through any node: whatever it says about sizes, counts and
// places is checked here, before anything is allocated for it or sent to the graphics card.

export const HEADER_SIZE = 64;
const MAGIC = [0x89, 0x4c, 0x50, 0x59, 0x52, 0x0d, 0x0a, 0x1a];
const ENTRY_SIZE = 40;
const NODES_MAX = 1 << 18;
const METADATA_SIZE_MAX = 1 << 20;
const ROWS_PER_TILE_MAX = 1 << 22;
const PLANES_MAX = 64;
const COLUMNS_MAX = 40;
const LEVEL_MAX = 24;
export const FINE = 1;
export const CONTINUES = 2;

export class PyramidError extends Error {}

function check(holds, rule) {
  if (!holds) throw new PyramidError(`The point pyramid is damaged: ${rule}.`);
}

function integer(view, at, what) {
  const value = view.getBigUint64(at, true);
  check(value <= BigInt(Number.MAX_SAFE_INTEGER), `${what} is beyond all sizes`);
  return Number(value);
}

// Where the parts lie that must be there before anything can be drawn.
export function readHeader(buffer) {
  check(buffer.byteLength >= HEADER_SIZE, "it is shorter than its header");
  const view = new DataView(buffer);
  check(MAGIC.every((byte, index) => view.getUint8(index) === byte), "it is no pyramid");
  check(view.getUint32(8, true) === 1, "its version is unknown to this page");
  const header = {
    metadataSize: view.getUint32(12, true),
    rootOffset: integer(view, 16, "the first tile's place"),
    rootSize: view.getUint32(24, true),
    nodeCount: view.getUint32(28, true),
    indexOffset: integer(view, 32, "the index's place"),
    fileSize: integer(view, 40, "the file's size"),
    placed: integer(view, 48, "the number of localizations"),
  };
  check(header.metadataSize <= METADATA_SIZE_MAX, "its description is too long");
  check(header.nodeCount >= 1 && header.nodeCount <= NODES_MAX, "it has too many tiles");
  check(header.rootOffset === HEADER_SIZE + header.metadataSize, "its first tile is elsewhere");
  check(header.indexOffset === header.rootOffset + header.rootSize, "its index is elsewhere");
  header.headSize = header.indexOffset + header.nodeCount * ENTRY_SIZE;
  check(header.headSize <= header.fileSize, "its index ends behind the file");
  return header;
}

// Tells what columns there are, how they are encoded and in which bytes of a tile they lie.
function readMetadata(bytes) {
  let document;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    check(false, "its description cannot be read");
  }
  const { dimension, planes, origin, side, columns } = document;
  check(dimension === 2 || dimension === 3, "it is neither flat nor spatial");
  check(Number.isInteger(planes) && planes >= dimension - 1 && planes <= PLANES_MAX, "its planes are uncountable");
  check(Number.isFinite(side) && side >= 0, "its side is no length");
  check(Array.isArray(origin) && origin.length >= 2 && origin.every(Number.isFinite), "its origin is no place");
  check(Array.isArray(columns) && columns.length >= dimension && columns.length <= COLUMNS_MAX, "its columns are uncountable");
  for (const column of columns) checkColumn(column, planes);
  return {
    name: text(document.name), channel: text(document.channel), unit: text(document.unit),
    rows: count(document.rows), placed: count(document.placed), seed: document.seed,
    dimension, planes, side, origin: [origin[0], origin[1], origin[2] ?? 0],
    axes: columns.slice(0, dimension), columns: columns.slice(dimension),
  };
}

function text(value) {
  return typeof value === "string" ? value.slice(0, 300) : "";
}

function count(value) {
  check(Number.isSafeInteger(value) && value >= 0, "a count is no number");
  return value;
}

function checkColumn(column, planes) {
  check(column && typeof column.name === "string" && column.name.length <= 300, "a column has no name");
  column.unit = text(column.unit);
  check(["position", "linear", "log"].includes(column.scale), "a column's scale is unknown");
  check([8, 16, 24, 32].includes(column.bits), "a column's bits are uncountable");
  check(Number.isInteger(column.first) && column.first >= 0, "a column's codes begin nowhere");
  check(Number.isInteger(column.codes) && column.codes >= 1 && column.codes <= 2 ** 32, "a column has no codes");
  check(Number.isFinite(column.lo) && Number.isFinite(column.hi) && column.hi >= column.lo, "a column's range is no range");
  check(column.scale !== "log" || column.lo > 0, "a logarithm begins at nothing");
  check(Array.isArray(column.histogram) && column.histogram.length <= 256, "a histogram is too long");
  check(column.histogram.every((value) => Number.isSafeInteger(value) && value >= 0), "a histogram does not count");
  check(Array.isArray(column.lanes) && column.lanes.length <= 4, "a column lies nowhere");
  for (const lane of column.lanes) {
    const { plane, byte, size, shift } = lane;
    check(Number.isInteger(plane) && plane >= 0 && plane < planes, "a column lies outside its tile");
    check((size === 1 || size === 2) && Number.isInteger(byte) && byte >= 0 && byte + size <= 4, "a column lies across words");
    check(Number.isInteger(shift) && shift >= 0 && shift < 32, "a column's bits are shifted away");
  }
}

// The tree: one entry of each typed array per node, children behind their parents, read from the
// top as it arrives. `known` says how many entries are there; below them nothing can be drawn yet.
class Index {
  constructor(header, meta) {
    this.header = header;
    this.meta = meta;
    const size = header.nodeCount;
    this.count = size;
    this.known = 0;
    this.offset = new Float64Array(size);
    this.byteLength = new Float64Array(size);
    this.tau = new Float64Array(size);
    this.parent = new Int32Array(size).fill(-1);
    for (const name of ["n", "total", "firstChild", "ix", "iy", "iz"]) this[name] = new Uint32Array(size);
    this.level = new Uint8Array(size);
    this.children = new Uint8Array(size);
    this.flags = new Uint16Array(size);
    this.born = 1; // Breadth first: each node's children come right behind those of the one before.
    this.placed = 0;
  }

  // Takes the next entries: the first `known` of them are here already.
  read(buffer, start, end) {
    const count = Math.floor((end - start) / ENTRY_SIZE);
    check(this.known + count <= this.count, "its index is longer than it says");
    const view = new DataView(buffer, start, count * ENTRY_SIZE);
    for (let entry = 0; entry < count; entry += 1) {
      this.#take(view, entry * ENTRY_SIZE, this.known);
      this.known += 1;
    }
    if (this.known < this.count) return;
    check(this.born === this.count, "a tile is out of reach");
    check(this.placed === this.header.placed, "its tiles hold other localizations than it says");
  }

  #take(view, at, k) {
    const { header, meta } = this;
    this.offset[k] = integer(view, at, "a tile's place");
    this.n[k] = view.getUint32(at + 8, true);
    this.total[k] = view.getUint32(at + 12, true);
    this.tau[k] = (view.getUint32(at + 16, true) + 1) / 2 ** 32;
    this.firstChild[k] = view.getUint32(at + 20, true);
    this.ix[k] = view.getUint32(at + 24, true);
    this.iy[k] = view.getUint32(at + 28, true);
    this.iz[k] = view.getUint32(at + 32, true);
    this.level[k] = view.getUint8(at + 36);
    this.children[k] = view.getUint8(at + 37);
    this.flags[k] = view.getUint16(at + 38, true);
    const fine = this.flags[k] & FINE ? meta.dimension - 1 : 0;
    this.byteLength[k] = 4 * this.n[k] * (meta.planes + fine);
    check(this.n[k] <= ROWS_PER_TILE_MAX && this.n[k] <= this.total[k], "a tile holds more than its cell");
    check(this.level[k] <= LEVEL_MAX, "a cell lies too deep");
    check(this.offset[k] + this.byteLength[k] <= header.fileSize, "a tile ends behind the file");
    if (this.children[k]) {
      check(this.firstChild[k] === this.born, "its tree is no tree");
      this.born += bitCount(this.children[k]);
      check(this.born <= this.count, "its tree has more cells than tiles");
      this.parent.fill(k, this.firstChild[k], this.born);
    }
    if (k > 0) {
      const parent = this.parent[k];
      check(parent >= 0 && parent < k, "a tile has no parent");
      const down = this.flags[parent] & CONTINUES ? 0 : 1;
      check(this.level[k] === this.level[parent] + down, "a cell is not below its parent");
      check(this.tau[k] > this.tau[parent], "a cell shows no more than its parent");
    }
    this.placed += this.n[k];
  }
}

export function bitCount(mask) {
  let bits = mask;
  let found = 0;
  for (; bits; bits &= bits - 1) found += 1;
  return found;
}

// A pyramid whose head is here, with at least the top of its index.
// `fetchTile(k, signal)` brings the bytes of the other tiles.
export class Pyramid {
  constructor(head, fetchTile) {
    const header = readHeader(head);
    check(head.byteLength >= header.indexOffset + ENTRY_SIZE, "its head is cut short");
    this.meta = readMetadata(new Uint8Array(head, HEADER_SIZE, header.metadataSize));
    check(this.meta.placed === header.placed, "it counts its localizations twice");
    this.nodes = new Index(header, this.meta);
    this.nodes.read(head, header.indexOffset, Math.min(head.byteLength, header.headSize));
    check(this.nodes.byteLength[0] === header.rootSize, "its first tile has another size");
    this.root = head.slice(header.rootOffset, header.indexOffset);
    this.headSize = head.byteLength;
    this.fetchTile = fetchTile;
  }

  // Takes more of the index: the entries from `nodes.known` on.
  extend(entries) {
    this.nodes.read(entries, 0, entries.byteLength);
    this.headSize += entries.byteLength;
  }

  // Localizations with a position; rows without one are in no tile.
  get placed() {
    return this.meta.placed;
  }

  // Two opposite corners of the smallest box around all positions, in nm.
  get bounds() {
    const { axes, side, origin } = this.meta;
    return axes.map((axis, index) => {
      const step = side / 2 ** 32;
      return [origin[index] + axis.first * step, origin[index] + (axis.first + axis.codes) * step];
    });
  }

  // The bytes of tile k, checked for their length.
  async tile(k, signal) {
    if (k === 0) return this.root;
    const bytes = await this.fetchTile(k, signal);
    check(bytes.byteLength === this.nodes.byteLength[k], `tile ${k} has another size than its index says`);
    return bytes;
  }

  column(name) {
    return this.meta.columns.find((column) => column.name === name) ?? null;
  }
}

// Column values and their codes. Code 0 is a missing value; of a logarithm, code 1 is "not positive".
export function valueOf(column, code) {
  if (column.scale === "log") {
    const step = column.codes > 1 ? Math.log(column.hi / column.lo) / (column.codes - 1) : 0;
    return code < column.first ? 0 : column.lo * Math.exp((code - column.first) * step);
  }
  const step = column.codes > 1 ? (column.hi - column.lo) / (column.codes - 1) : 1;
  return column.lo + (code - column.first) * step;
}

// The code nearest to a value, not clipped to the codes there are.
export function codeOf(column, value) {
  if (column.scale === "log") {
    if (!(value > 0)) return 1;
    const step = column.codes > 1 ? Math.log(column.hi / column.lo) / (column.codes - 1) : 1;
    return column.first + Math.log(value / column.lo) / step;
  }
  const step = column.codes > 1 ? (column.hi - column.lo) / (column.codes - 1) : 1;
  return column.first + (value - column.lo) / step;
}

// Reads codes of a column from the words of a tile: row by row, without copies.
export function codeReader(column, words, n, finePlanes) {
  const lanes = column.lanes.map((lane) => ({
    at: (lane.plane + finePlanes) * n, down: 8 * lane.byte,
    mask: lane.size === 2 ? 0xffff : 0xff, up: 2 ** lane.shift,
  }));
  return (row) => {
    let code = 0;
    for (const lane of lanes) code += ((words[lane.at + row] >>> lane.down) & lane.mask) * lane.up;
    return code;
  };
}
