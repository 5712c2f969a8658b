// Numbers and units as people read them: SI prefixes, few digits, thin spaces.

const THIN = "\u2009";

export function formatCount(count) {
  if (count < 10_000) return Math.round(count).toLocaleString("en").replace(/,/g, THIN);
  for (const [limit, sign] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (count >= limit) return `${trim(count / limit)}${THIN}${sign}`;
  }
  return String(count);
}

export function formatLength(nm) {
  const size = Math.abs(nm);
  if (size >= 1e6) return `${trim(nm / 1e6)}${THIN}mm`;
  if (size >= 1e3) return `${trim(nm / 1e3)}${THIN}µm`;
  return `${trim(nm)}${THIN}nm`;
}

export function formatBytes(size) {
  for (const [limit, sign] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (size >= limit) return `${trim(size / limit)}${THIN}${sign}`;
  }
  return `${Math.round(size)}${THIN}B`;
}

export function formatValue(value) {
  if (!Number.isFinite(value)) return "–";
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)) return value.toPrecision(3);
  return String(Number(value.toPrecision(4)));
}

function trim(value) {
  return String(Number(value.toPrecision(Math.abs(value) >= 100 ? 3 : 2)));
}

// What a column is called to people.
export function columnTitle(column) {
  const names = { uncertainty_xy: "uncertainty", intensity: "photons", x_precision: "x precision", y_precision: "y precision" };
  const title = names[column.name] ?? column.name.replaceAll("_", " ");
  return column.unit && column.unit !== "photon" ? `${title}, ${column.unit.replace("um", "µm")}` : title;
}
