// What is looked at and how, as text: the same grammar in the address, in picture links and in
// saved views (docs/viewer.md). What cannot be read falls back to its default, alone.

export const VERSION = "1";

function numbers(text, counts) {
  const found = (text ?? "").split(",").map(Number);
  const isSound = text && counts.includes(found.length) && found.every(Number.isFinite);
  return isSound ? found : null;
}

function range(text) {
  const [low, high, more] = (text ?? "").split("..").map(Number);
  return more === undefined && Number.isFinite(low) && Number.isFinite(high) && low <= high ? [low, high] : null;
}

function positive(text) {
  const value = Number(text);
  return text && Number.isFinite(value) && value > 0 ? value : null;
}

function channel(text) {
  const [contrast, gamma, tint, visible] = text.split(",");
  return {
    contrast: range(contrast), gamma: positive(gamma),
    tint: /^[0-9a-f]{6}$/i.test(tint ?? "") ? tint.toLowerCase() : null, isVisible: visible !== "0",
  };
}

export function parseState(text) {
  const pairs = new URLSearchParams(text.replace(/^[#?]/, ""));
  const state = {
    sample: /^\d{1,4}$/.test(pairs.get("s") ?? "") ? Number(pairs.get("s")) : 0,
    at: numbers(pairs.get("at"), [2, 3]), nm: positive(pairs.get("nm")), rot: numbers(pairs.get("rot"), [2]) ?? [0, 0],
    mode: ["density", "points", "gaussian"].includes(pairs.get("m")) ? pairs.get("m") : "density",
    pointPx: positive(pairs.get("px")) ?? 3, by: pairs.get("by") || null, range: range(pairs.get("range")),
    map: pairs.get("map") || "fire", contrast: range(pairs.get("c")), gamma: positive(pairs.get("g")) ?? 1,
    isLog: pairs.get("log") === "1", isLocked: pairs.get("lock") === "1",
    ui: ["full", "none", "bar"].includes(pairs.get("ui")) ? pairs.get("ui") : "full",
    channels: new Map(), filters: new Map(), unknown: [],
  };
  const known = new Set(["v", "s", "at", "nm", "rot", "m", "px", "by", "range", "map", "c", "g", "log", "lock", "ui"]);
  for (const [key, value] of pairs) {
    const filter = range(value);
    if (/^h\d{1,3}$/.test(key)) state.channels.set(Number(key.slice(1)), channel(value));
    else if (key.startsWith("f.") && key.length > 2 && filter) state.filters.set(key.slice(2), filter);
    else if (!known.has(key) && !key.startsWith("f.")) state.unknown.push([key, value]);
  }
  return state;
}

// Nine digits: less than a thousandth of a nanometre in a field of a millimetre.
function short(value) {
  return String(Number(value.toPrecision(9)));
}

export function formatState(state) {
  const pairs = [["v", VERSION]];
  const put = (key, value, isDefault = false) => {
    if (!isDefault && value !== null && value !== undefined) pairs.push([key, value]);
  };
  put("s", String(state.sample), state.sample === 0);
  put("at", state.at?.map(short).join(","));
  put("nm", state.nm === null ? null : short(state.nm));
  put("rot", state.rot.map(short).join(","), state.rot.every((angle) => angle === 0));
  put("m", state.mode, state.mode === "density");
  put("px", short(state.pointPx), state.pointPx === 3);
  put("by", state.by);
  put("range", state.range?.map(short).join(".."));
  put("map", state.map, state.map === "fire");
  put("c", state.contrast?.map(short).join(".."));
  put("g", short(state.gamma), state.gamma === 1);
  put("log", "1", !state.isLog);
  put("lock", "1", !state.isLocked);
  put("ui", state.ui, state.ui === "full");
  for (const [number, { contrast, gamma, tint, isVisible }] of state.channels) {
    const parts = [contrast?.map(short).join("..") ?? "", gamma ? short(gamma) : "", tint ?? "", isVisible ? "" : "0"];
    put(`h${number}`, parts.join(","), parts.every((part) => part === ""));
  }
  for (const [name, [low, high]] of state.filters) put(`f.${name}`, `${short(low)}..${short(high)}`);
  pairs.push(...state.unknown);
  // Left readable where an address allows it.
  return pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value).replace(/%2C/g, ",")}`).join("&");
}
