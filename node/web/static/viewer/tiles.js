// Brings tiles from the network, the wanted ones first, and keeps those used last.

const IN_FLIGHT_MAX = 6;
const RETRY_MS = [500, 2000, 5000, 15000];

export class Tiles {
  constructor(pyramid, { onTile, onTrouble }) {
    this.pyramid = pyramid;
    this.onTile = onTile;
    this.onTrouble = onTrouble;
    this.wanted = []; // Node numbers, in order.
    this.held = new Map(); // Node number -> bytes.
    this.flights = new Map(); // Node number -> AbortController.
    this.failed = new Map(); // Node number -> { tries, at_ms }.
    this.timer = 0;
    this.bytesFetched = pyramid.headSize;
    this.isClosed = false;
    this.held.set(0, pyramid.root);
  }

  // Says what the view needs now. Whatever is no longer needed is no longer waited for.
  want(nodes) {
    const set = new Set(nodes);
    for (const [k, abort] of this.flights) {
      if (!set.has(k)) abort.abort();
    }
    this.wanted = nodes.filter((k) => !this.held.has(k));
    this.#start();
  }

  get missing() {
    return this.wanted.length;
  }

  get missingBytes() {
    return this.wanted.reduce((sum, k) => sum + this.pyramid.nodes.byteLength[k], 0);
  }

  release(k) {
    if (k !== 0) this.held.delete(k);
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const abort of this.flights.values()) abort.abort();
    this.held.clear();
  }

  #start() {
    const now = performance.now();
    let soonest = Infinity;
    for (const k of this.wanted) {
      if (this.flights.size >= IN_FLIGHT_MAX) return;
      if (this.flights.has(k)) continue;
      const failure = this.failed.get(k);
      if (failure && failure.at_ms > now) {
        soonest = Math.min(soonest, failure.at_ms - now);
        continue;
      }
      this.#fetch(k);
    }
    clearTimeout(this.timer);
    if (soonest < Infinity) this.timer = setTimeout(() => this.#start(), soonest + 5);
  }

  async #fetch(k) {
    const abort = new AbortController();
    this.flights.set(k, abort);
    try {
      const bytes = await this.pyramid.tile(k, abort.signal);
      if (this.isClosed) return;
      this.failed.delete(k);
      this.held.set(k, bytes);
      this.bytesFetched += bytes.byteLength;
      this.wanted = this.wanted.filter((other) => other !== k);
      this.onTile(k, bytes);
      if (!this.failed.size) this.onTrouble(null);
    } catch (error) {
      if (this.isClosed || abort.signal.aborted) return;
      const tries = (this.failed.get(k)?.tries ?? 0) + 1;
      const wait = RETRY_MS[Math.min(tries, RETRY_MS.length) - 1];
      this.failed.set(k, { tries, at_ms: performance.now() + wait });
      this.onTrouble(error);
    } finally {
      this.flights.delete(k);
      if (!this.isClosed) this.#start();
    }
  }
}
