// Mouse, fingers and keys to moves of the camera and to commands.

const WHEEL_STEP = 0.0016;
const PAN_STEP_PX = 60;
const TURN_PER_PX = 0.008;
const TURN_STEP = Math.PI / 36;

export class Controls {
  constructor(canvas, camera, { onMove, onCommand, onPlace, canTurn }) {
    this.canvas = canvas;
    this.camera = camera;
    this.onMove = onMove;
    this.onCommand = onCommand;
    this.onPlace = onPlace;
    this.canTurn = canTurn;
    this.pointers = new Map();
    this.ending = new AbortController();
    const listen = (target, name, handle, options = {}) =>
      target.addEventListener(name, handle, { signal: this.ending.signal, ...options });
    listen(canvas, "pointerdown", (event) => this.#down(event));
    listen(canvas, "pointermove", (event) => this.#drag(event));
    listen(canvas, "pointerup", (event) => this.#up(event));
    listen(canvas, "pointercancel", (event) => this.#up(event));
    listen(canvas, "pointerleave", () => this.onPlace(null));
    listen(canvas, "contextmenu", (event) => { if (this.canTurn()) event.preventDefault(); });
    listen(canvas, "wheel", (event) => this.#wheel(event), { passive: false });
    listen(canvas, "dblclick", (event) => this.#zoom(2, event));
    listen(document, "keydown", (event) => this.#key(event));
  }

  close() {
    this.ending.abort();
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const isTurning = (event.shiftKey || event.button === 2) && this.canTurn();
    this.pointers.set(event.pointerId, { at: this.#at(event), isTurning });
    this.canvas.classList.add("moving");
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.canvas.classList.remove("moving");
  }

  #drag(event) {
    const at = this.#at(event);
    const pointer = this.pointers.get(event.pointerId);
    if (event.pointerType !== "touch") this.onPlace(at);
    if (!pointer) return;
    const before = this.#gesture();
    const [dx, dy] = [at[0] - pointer.at[0], at[1] - pointer.at[1]];
    pointer.at = at;
    if (pointer.isTurning) {
      this.camera.turn(-dx * TURN_PER_PX, -dy * TURN_PER_PX);
    } else {
      const after = this.#gesture();
      this.camera.pan(after.x - before.x, after.y - before.y);
      if (before.spread > 0 && after.spread > 0) this.camera.zoom(after.spread / before.spread, after.x, after.y);
    }
    this.onMove();
  }

  // Where the fingers are together, and how far apart.
  #gesture() {
    const places = [...this.pointers.values()].map((pointer) => pointer.at);
    const x = places.reduce((sum, place) => sum + place[0], 0) / places.length;
    const y = places.reduce((sum, place) => sum + place[1], 0) / places.length;
    const spread = places.length > 1 ? Math.hypot(places[0][0] - places[1][0], places[0][1] - places[1][1]) : 0;
    return { x, y, spread };
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const step = Math.min(Math.max(event.deltaY * lines, -240), 240);
    // A pinch on a touch pad comes as a wheel with Ctrl, in small steps.
    this.#zoom(Math.exp(-step * WHEEL_STEP * (event.ctrlKey ? 6 : 1)), event);
  }

  #zoom(factor, event) {
    this.camera.zoom(factor, ...this.#at(event));
    this.onMove();
  }

  #key(event) {
    const isTyping = event.target.closest("input, textarea, select, dialog, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, a, summary");
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const arrow = arrows[event.key];
    if (arrow) {
      if (event.shiftKey && this.canTurn()) this.camera.turn(arrow[0] * TURN_STEP, arrow[1] * TURN_STEP);
      else this.camera.pan(arrow[0] * PAN_STEP_PX, arrow[1] * PAN_STEP_PX);
      this.onMove();
    } else if (event.key === "+" || event.key === "=") {
      this.camera.zoom(1.25);
      this.onMove();
    } else if (event.key === "-") {
      this.camera.zoom(0.8);
      this.onMove();
    } else if (!this.onCommand(event.key)) {
      return;
    }
    event.preventDefault();
  }
}
