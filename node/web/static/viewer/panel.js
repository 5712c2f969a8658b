// The panel of settings: made anew for each sample, every control with its label and its key.

import { RangePicker } from "./histogram.js";
import { columnTitle, formatCount } from "./words.js";

const MODES = { density: "Density", points: "Points", gaussian: "Gaussian by uncertainty" };

function make(tag, props = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
}

function group(title, ...children) {
  return make("fieldset", {}, make("legend", { textContent: title }), ...children);
}

function choice(label, options, value, onChange) {
  const select = make("select");
  for (const [name, title] of options) select.append(make("option", { value: name, textContent: title, selected: name === value }));
  select.addEventListener("change", () => onChange(select.value));
  return make("label", {}, label, select);
}

function slider(label, { min, max, step, value }, onInput) {
  const input = make("input", { type: "range", min, max, step, value });
  input.addEventListener("input", () => onInput(Number(input.value)));
  return make("label", {}, label, input);
}

function tick(label, isOn, onChange) {
  const input = make("input", { type: "checkbox", checked: isOn });
  input.addEventListener("change", () => onChange(input.checked));
  return make("label", {}, label, input);
}

export class Panel {
  constructor(element, viewer) {
    this.element = element;
    this.viewer = viewer;
  }

  // Columns that every channel carries can be coloured by and filtered on.
  #columns() {
    const [first, ...others] = this.viewer.renderer.channels.map((channel) => channel.pyramid);
    if (!first) return [];
    return first.meta.columns.filter((column) => others.every((pyramid) => pyramid.column(column.name)));
  }

  build() {
    const { state, samples, is3D } = this.viewer;
    const parts = [];
    if (samples.length > 1) {
      const options = samples.map((sample, index) => [String(index), sample.name]);
      parts.push(group("Sample", choice("Sample", options, String(state.sample), (value) => this.viewer.openSample(Number(value)))));
    }
    parts.push(this.#drawing(), this.#brightness());
    if (this.viewer.renderer.channels.length > 1) parts.push(this.#channels());
    parts.push(this.#filters());
    if (is3D) {
      const flat = make("button", { type: "button", textContent: "Look straight down" });
      flat.addEventListener("click", () => this.viewer.turnBack());
      parts.push(group("3D", make("p", { className: "facts", textContent: "Turn with Shift and drag, or Shift and arrows." }), flat));
    }
    this.element.replaceChildren(...parts);
  }

  #drawing() {
    const { state, is3D, maps } = this.viewer;
    const columns = this.#columns().map((column) => [column.name, columnTitle(column)]);
    const by = [["", "density only"], ...(is3D ? [["z", "z, nm"]] : []), ...columns];
    const parts = [
      choice("Draw as", Object.entries(MODES), state.mode, (mode) => this.viewer.set({ mode }, "move")),
      choice("Colour by", by, state.by ?? "", (value) => this.viewer.set({ by: value || null, range: null }, "rebuild")),
    ];
    if (state.mode === "points") {
      parts.push(slider("Point size", { min: 1, max: 12, step: 0.5, value: state.pointPx }, (pointPx) => this.viewer.set({ pointPx }, "move")));
    }
    if (state.by) {
      const picker = new RangePicker(this.viewer.columnOf(state.by), {
        label: "Colours", range: this.viewer.colorRange(), onChange: (range) => this.viewer.set({ range }, "move"),
      });
      parts.push(picker.element);
    } else if (this.viewer.renderer.channels.length < 2) {
      parts.push(choice("Colour map", maps.map((name) => [name, name]), state.map, (map) => this.viewer.set({ map }, "restyle")));
    }
    return group("Drawing", ...parts);
  }

  #brightness() {
    const { state } = this.viewer;
    const scale = slider("Brightest at", { min: -3, max: 3, step: 0.02, value: 0 }, (step) => this.viewer.brighten(10 ** -step, { isFromAuto: true }));
    const auto = make("button", { type: "button", textContent: "Automatic" });
    auto.addEventListener("click", () => {
      scale.querySelector("input").value = 0;
      this.viewer.set({ contrast: null, isLocked: false }, "auto");
    });
    return group(
      "Brightness", scale,
      slider("Gamma", { min: 0.3, max: 2.5, step: 0.05, value: state.gamma }, (gamma) => this.viewer.set({ gamma }, "restyle")),
      tick("Logarithmic", state.isLog, (isLog) => this.viewer.set({ isLog }, "restyle")),
      tick("Keep while zooming", state.isLocked, (isLocked) => this.viewer.lock(isLocked)),
      auto,
    );
  }

  #channels() {
    const parts = this.viewer.renderer.channels.map((channel, number) => {
      const color = make("input", { type: "color", value: `#${channel.tint}` });
      color.setAttribute("aria-label", `Colour of ${channel.title}`);
      color.addEventListener("input", () => this.viewer.setChannel(number, { tint: color.value.slice(1) }));
      const row = tick(`${number + 1}  ${channel.title}`, channel.look.isVisible, (isVisible) => this.viewer.setChannel(number, { isVisible }));
      row.append(color);
      return row;
    });
    return group("Channels", ...parts);
  }

  #filters() {
    const { state } = this.viewer;
    this.kept = make("p", { className: "facts", textContent: "Everything is shown." });
    this.kept.setAttribute("role", "status");
    const axes = this.viewer.is3D ? [this.viewer.columnOf("z")] : [];
    const parts = [...axes, ...this.#columns()].map((column) => {
      const picker = new RangePicker(column, {
        label: columnTitle(column), range: state.filters.get(column.name) ?? null,
        onChange: (range) => this.viewer.filter(column.name, range),
      });
      const summary = make("summary", { textContent: columnTitle(column) });
      return make("details", { open: state.filters.has(column.name) }, summary, picker.element);
    });
    return group("Show only", this.kept, ...parts);
  }

  // What the filters keep of all channels: { count, error } each.
  showKept(counts, placed) {
    if (!this.kept) return;
    const count = counts.reduce((sum, one) => sum + one.count, 0);
    const error = Math.hypot(...counts.map((one) => one.error));
    const about = error >= 0.5 ? `about ${formatCount(count)} ± ${formatCount(error)}` : formatCount(count);
    this.kept.textContent = `${about} of ${formatCount(placed)} localizations kept`;
  }
}

