// Where one looks from: a centre in nm, a scale, and for spatial data two angles.
// Orthographic always: a scale bar that holds everywhere is worth more than perspective.

const NM_PER_PX_MIN = 1e-3;
const NM_PER_PX_MAX = 1e7;

export class Camera {
  constructor() {
    this.centre = [0, 0, 0];
    this.nmPerPx = 100; // For one CSS pixel, so that a link means the same on every screen.
    this.azimuth = 0;
    this.elevation = 0;
    this.width = 1;
    this.height = 1;
  }

  // Takes in the whole box, with a little room around it.
  fit(bounds) {
    const size = bounds.map(([low, high]) => Math.max(high - low, 1));
    for (let axis = 0; axis < 3; axis += 1) {
      this.centre[axis] = bounds[axis] ? (bounds[axis][0] + bounds[axis][1]) / 2 : 0;
    }
    this.azimuth = 0;
    this.elevation = 0;
    this.scaleTo(Math.max(size[0] / this.width, size[1] / this.height) * 1.04);
  }

  scaleTo(nmPerPx) {
    this.nmPerPx = Math.min(Math.max(nmPerPx, NM_PER_PX_MIN), NM_PER_PX_MAX);
  }

  get isTurned() {
    return this.azimuth !== 0 || this.elevation !== 0;
  }

  // The rows are what is right, down and away on the screen, in nm of the data.
  // Unturned: x to the right and y downward, as images of cameras are shown.
  rotation() {
    const [ca, sa] = [Math.cos(this.azimuth), Math.sin(this.azimuth)];
    const [ce, se] = [Math.cos(this.elevation), Math.sin(this.elevation)];
    return [
      [ca, sa, 0],
      [-sa * ce, ca * ce, se],
      [sa * se, -ca * se, ce],
    ];
  }

  // From CSS pixels (from the upper left corner) to nm in the plane through the centre.
  toData(px, py) {
    const [right, down] = this.rotation();
    const dx = (px - this.width / 2) * this.nmPerPx;
    const dy = (py - this.height / 2) * this.nmPerPx;
    return this.centre.map((middle, axis) => middle + dx * right[axis] + dy * down[axis]);
  }

  toScreen(point) {
    const [right, down] = this.rotation();
    let dx = 0;
    let dy = 0;
    for (let axis = 0; axis < 3; axis += 1) {
      const delta = (point[axis] ?? this.centre[axis]) - this.centre[axis];
      dx += delta * right[axis];
      dy += delta * down[axis];
    }
    return [this.width / 2 + dx / this.nmPerPx, this.height / 2 + dy / this.nmPerPx];
  }

  pan(dxPx, dyPx) {
    const [right, down] = this.rotation();
    for (let axis = 0; axis < 3; axis += 1) {
      this.centre[axis] -= (dxPx * right[axis] + dyPx * down[axis]) * this.nmPerPx;
    }
  }

  // What lies under the cursor stays there.
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const before = this.toData(px, py);
    this.scaleTo(this.nmPerPx / factor);
    const after = this.toData(px, py);
    for (let axis = 0; axis < 3; axis += 1) this.centre[axis] += before[axis] - after[axis];
  }

  turn(azimuth, elevation) {
    const whole = 2 * Math.PI;
    this.azimuth = (((this.azimuth + azimuth) % whole) + whole) % whole;
    this.elevation = Math.min(Math.max(this.elevation + elevation, -Math.PI), Math.PI);
  }

  copyFrom(other) {
    this.centre = [...other.centre];
    this.nmPerPx = other.nmPerPx;
    this.azimuth = other.azimuth;
    this.elevation = other.elevation;
  }
}
