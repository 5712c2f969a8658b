// What is written over the picture: scale bar, colour bar, what is shown, where the cursor is.

import { columnTitle, formatBytes, formatCount, formatLength, formatValue } from "./words.js";

const BAR_PX = 140; // A scale bar is at most so long, and a length of 1, 2 or 5.

export function scaleLength(nmPerPx) {
  const most = BAR_PX * nmPerPx;
  const power = 10 ** Math.floor(Math.log10(most));
  const factor = [5, 2, 1].find((one) => one * power <= most);
  return factor * power;
}

export class Overlay {
  constructor() {
    const find = (id) => document.getElementById(id);
    this.badge = find("badge");
    this.where = find("where");
    this.scale = find("scale");
    this.colors = find("colors");
    this.progress = find("progress");
    this.notice = find("notice");
  }

  showScale(camera) {
    const length = scaleLength(camera.nmPerPx);
    this.scale.querySelector("span").textContent = formatLength(length);
    this.scale.querySelector("i").style.width = `${length / camera.nmPerPx}px`;
  }

  // Of brightness in localizations per area, or of the column that colours stand for.
  showColors(look, lut) {
    const context = this.colors.querySelector("canvas").getContext("2d");
    const pixels = context.createImageData(256, 1);
    for (let level = 0; level < 256; level += 1) {
      pixels.data.set([...lut.subarray(3 * level, 3 * level + 3), 255], 4 * level);
    }
    context.putImageData(pixels, 0, 0);
    const [low, high] = look.color ? look.colorRange : look.contrast;
    const title = look.color ? (look.color === "z" ? "z, nm" : columnTitle(look.color)) : "per µm²";
    const word = look.color ? formatValue : formatCount;
    const range = `${word(low)} – ${word(high)}`;
    this.colors.querySelector("span").textContent = look.color ? `${title}: ${range}` : `${range} ${title}`;
    this.colors.hidden = false;
  }

  // How much of the data one sees, and whether that is a sample.
  showBadge(channels) {
    const shown = channels.filter((channel) => channel.look.isVisible && channel.drawn);
    const placed = shown.reduce((sum, channel) => sum + channel.pyramid.placed, 0);
    const drawn = shown.reduce((sum, { drawn: nodes, pyramid }) => sum + nodes.reduce((n, k) => n + pyramid.nodes.n[k], 0), 0);
    let text = "Nothing is shown: all channels are switched off";
    if (shown.length) {
      text = `${formatCount(drawn)} of ${formatCount(placed)} shown, unbiased sample`;
      if (drawn === placed) text = `All ${formatCount(placed)} localizations`;
      else if (shown.every((channel) => channel.isAll)) text = "All localizations in view";
    }
    if (shown.some(({ look }) => look.filters.length || look.zRange)) text += ", filtered";
    const missing = shown.reduce((sum, channel) => sum + channel.tiles.missingBytes, 0);
    if (missing) text += `, ${formatBytes(missing)} to come`;
    if (this.badge.textContent !== text) this.badge.textContent = text;
    const fetched = shown.reduce((sum, channel) => sum + channel.tiles.bytesFetched, 0);
    this.progress.style.width = missing ? `${(100 * fetched) / (fetched + missing)}%` : "0";
  }

  showWhere(place, dimension) {
    if (!place) {
      this.where.textContent = "";
      return;
    }
    const names = ["x", "y"];
    const parts = names.map((name, axis) => `${name} ${(place[axis] / 1000).toFixed(3)}`);
    this.where.textContent = `${parts.join("  ")} µm${dimension === 3 ? ", 3D" : ""}`;
  }

  say(text) {
    this.notice.hidden = !text;
    this.notice.textContent = text ?? "";
  }
}
