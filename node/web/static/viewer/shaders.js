// The shaders. Points are drawn from the bytes of a tile as they come: each plane of words is one
// integer attribute, and where a column's bits lie in them is written into the shader's text. Only
// whole numbers that pyramid.js has checked get into that text.

export const MODES = ["density", "points", "gaussian"];
const SIGMA_REACH = 3; // A splat ends beyond three sigma: 0.3 % of it are missing at most.
const SIGMA_LEAST_PX = 0.6; // Narrower splats would fall between the pixels.

// An expression for a column's code.
function codeOf(column, words) {
  const lanes = column.lanes.map(({ plane, byte, size, shift }) => {
    const mask = size === 2 ? "0xffffu" : "0xffu";
    return `(((${words[plane]} >> ${8 * byte}u) & ${mask}) << ${shift}u)`;
  });
  return lanes.join(" | ") || "0u";
}

// The vertex shader for the tiles of one pyramid.
//
// Its weight is 1/tau of the deepest drawn cell around the point: it walks down from the tile's own
// node by the bits of the point's position, as far as the cut is drawn.
export function pointVertex(meta, { isFine, filters, color, sigma }) {
  const planes = Array.from({ length: meta.planes }, (_, plane) => `w${plane}`);
  const fine = isFine ? Array.from({ length: meta.dimension - 1 }, (_, plane) => `f${plane}`) : [];
  const inputs = [...fine, ...planes].map(
    (name, place) => `layout(location = ${place}) in uint ${name};`,
  );
  const is3D = meta.dimension === 3;
  const lower = (word, half, high) =>
    isFine ? `(float(${high}) + (float(${half}) + 0.5) / 65536.0) / 65536.0` : `(float(${high}) + 0.5) / 65536.0`;
  return `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
${inputs.join("\n")}
uniform vec3 uTile;          // The tile's corner from the camera's centre, nm.
uniform float uSide;         // Its side, nm.
uniform mat3 uTurn;          // Data to screen: right, down, away.
uniform vec2 uScale;         // Clip units per nm.
uniform float uPxPerNm;      // Device pixels.
uniform vec2 uDepth;         // Kept range of z, nm from the camera's centre.
uniform int uNode;
uniform bool uContinues;
uniform usampler2D uTree;
uniform highp sampler2D uWeight;
uniform int uTreeWidth;
uniform float uPointPx;
uniform uvec2 uFilter[${Math.max(filters.length, 1)}];
uniform bvec2 uMissing[${Math.max(filters.length, 1)}];
uniform vec3 uColor;         // First code, codes per unit of the ramp, and whether missing is grey.
uniform vec4 uSigma;         // How a code becomes nm: lo, step, first code, and 1 for a logarithm.
uniform float uSigmaNm;      // For all points, where there is no column.
out float vWeight;
out float vRamp;
out float vSigmaPx;

ivec2 place(int node) { return ivec2(node % uTreeWidth, node / uTreeWidth); }

void main() {
  uint x = w0 & 0xffffu;
  uint y = w0 >> 16u;
  uint z = ${is3D ? "w1 & 0xffffu" : "0u"};
  vec3 inside = vec3(${lower("w0", "(f0 & 0xffffu)", "x")}, ${lower("w0", "(f0 >> 16u)", "y")},
                     ${is3D ? lower("w1", "(f1 & 0xffffu)", "z") : "0.0"});
  vec3 from = uTile + uSide * inside;
  ${is3D ? "bool kept = from.z >= uDepth.x && from.z <= uDepth.y;" : "bool kept = true;"}
${filters.map((column, index) => `  {
    uint code = ${codeOf(column, planes)};
    bool known = code >= ${column.first}u;
    kept = kept && (known ? (code >= uFilter[${index}].x && code <= uFilter[${index}].y) : uMissing[${index}].x);
  }`).join("\n")}
  if (!kept) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    gl_PointSize = 1.0;
    vWeight = 0.0; vRamp = 0.0; vSigmaPx = 1.0;
    return;
  }

  int node = uNode;
  float weight = texelFetch(uWeight, place(node), 0).r;
  uint bit = 15u;
  for (int step = 0; step < 40; step += 1) {
    uvec2 link = texelFetch(uTree, place(node), 0).rg;
    uint children = link.g & 0xffu;
    if (children == 0u) break;
    int child = int(link.r);
    if ((link.g & 0x200u) == 0u) {
      if (bit > 15u) break;
      uint octant = ((x >> bit) & 1u) | (((y >> bit) & 1u) << 1u) | (((z >> bit) & 1u) << 2u);
      if ((children & (1u << octant)) == 0u) break;
      uint before = children & ((1u << octant) - 1u);
      for (; before != 0u; before &= before - 1u) child += 1;
      bit -= 1u;
    }
    float below = texelFetch(uWeight, place(child), 0).r;
    if (below == 0.0) break;
    weight = below;
    node = child;
  }

  vec3 turned = from * uTurn;
  gl_Position = vec4(turned.xy * uScale, 0.0, 1.0);
  vWeight = weight;
  vRamp = ${color ? rampOf(meta, color, planes) : "0.0"};
  ${sigma ? `uint scode = ${codeOf(sigma, planes)};
  float steps = float(scode) - uSigma.z;
  float nm = scode < uint(uSigma.z) ? uSigmaNm : (uSigma.w > 0.5 ? uSigma.x * exp(steps * uSigma.y) : uSigma.x + steps * uSigma.y);`
    : "float nm = uSigmaNm;"}
  vSigmaPx = max(nm * uPxPerNm, ${SIGMA_LEAST_PX.toFixed(3)});
  gl_PointSize = uPointPx > 0.0 ? uPointPx : ceil(2.0 * ${SIGMA_REACH.toFixed(1)} * vSigmaPx) + 1.0;
}
`;
}

// Where a point lies on the colour ramp, 0 to 1; -1 for a missing value.
function rampOf(meta, color, planes) {
  if (color === "z") return "clamp((from.z - uColor.x) * uColor.y, 0.0, 1.0)";
  const code = codeOf(color, planes);
  return `(${code}) < ${color.first}u ? -1.0 : clamp((float(${code}) - uColor.x) * uColor.y, 0.0, 1.0)`;
}

// Adds up weights; with colours, weighted colours and weights.
export function pointFragment({ mode, isColored }) {
  const amount = {
    density: "vWeight",
    points: `(dot(at, at) <= 0.25 ? vWeight : 0.0)`,
    gaussian: `vWeight * exp(-0.5 * dot(px, px) / (vSigmaPx * vSigmaPx)) / (6.283185307 * vSigmaPx * vSigmaPx)`,
  }[mode];
  return `#version 300 es
precision highp float;
precision highp int;
in float vWeight;
in float vRamp;
in float vSigmaPx;
uniform highp sampler2D uRamp;
uniform float uPointPx;
out vec4 sum;
void main() {
  vec2 at = gl_PointCoord - 0.5;
  float size = uPointPx > 0.0 ? uPointPx : ceil(2.0 * ${SIGMA_REACH.toFixed(1)} * vSigmaPx) + 1.0;
  vec2 px = at * size;
  float amount = ${amount};
  ${isColored
    ? "vec3 color = vRamp < 0.0 ? vec3(0.5) : texelFetch(uRamp, ivec2(int(vRamp * 255.0 + 0.5), 0), 0).rgb;\n  sum = vec4(color * amount, amount);"
    : "sum = vec4(amount, 0.0, 0.0, 1.0);"}
}
`;
}

export const fullVertex = `#version 300 es
precision highp float;
precision highp int;
void main() {
  vec2 corner = vec2(float((gl_VertexID << 1) & 2), float(gl_VertexID & 2));
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
`;

// From sums to colours. Density per square micrometre first, so that contrast keeps its meaning
// while one zooms; then contrast, gamma and the colour map.
export const toneFragment = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D uSum;
uniform highp sampler2D uMap;
uniform float uPerUm2;       // 1 / area of a device pixel, um^-2.
uniform vec3 uContrast;      // Low, high, gamma.
uniform bool uLog;
uniform bool uColored;
uniform vec3 uTint;          // For several channels: white stands for the colour map itself.
uniform bool uTinted;
uniform ivec2 uFrom;
out vec4 color;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy) - uFrom;
  vec4 sum = texelFetch(uSum, at, 0);
  float amount = (uColored ? sum.a : sum.r) * uPerUm2;
  float part = uLog
    ? log(1.0 + max(amount - uContrast.x, 0.0)) / log(1.0 + max(uContrast.y - uContrast.x, 1e-30))
    : (amount - uContrast.x) / max(uContrast.y - uContrast.x, 1e-30);
  float value = pow(clamp(part, 0.0, 1.0), uContrast.z);
  vec3 shown = uColored
    ? sum.rgb / max(sum.a, 1e-30) * value
    : (uTinted ? uTint * value : texelFetch(uMap, ivec2(int(value * 255.0 + 0.5), 0), 0).rgb);
  color = vec4(shown, 1.0);
}
`;

// Sums of blocks of pixels, for contrast and for tests: few numbers to read back.
export const shrinkFragment = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D uSum;
uniform ivec2 uSize;
uniform int uBlock;
uniform bool uColored;
out vec4 sum;
void main() {
  ivec2 from = ivec2(gl_FragCoord.xy) * uBlock;
  float total = 0.0;
  float most = 0.0;
  for (int dy = 0; dy < uBlock; dy += 1) {
    for (int dx = 0; dx < uBlock; dx += 1) {
      ivec2 at = from + ivec2(dx, dy);
      if (at.x >= uSize.x || at.y >= uSize.y) continue;
      vec4 found = texelFetch(uSum, at, 0);
      float amount = uColored ? found.a : found.r;
      total += amount;
      most = max(most, amount);
    }
  }
  sum = vec4(total, most, 0.0, 1.0);
}
`;

// A picture under the points: a wide-field image of the same field.
export const imageVertex = `#version 300 es
precision highp float;
precision highp int;
uniform mat3 uTurn;
uniform vec3 uCorner;
uniform vec2 uExtent;
uniform vec2 uScale;
out vec2 vAt;
void main() {
  vAt = vec2(float(gl_VertexID & 1), float((gl_VertexID >> 1) & 1));
  vec3 turned = (uCorner + vec3(vAt * uExtent, 0.0)) * uTurn;
  gl_Position = vec4(turned.xy * uScale, 0.0, 1.0);
}
`;

export const imageFragment = `#version 300 es
precision highp float;
in vec2 vAt;
uniform sampler2D uImage;
uniform float uAlpha;
out vec4 color;
void main() {
  color = vec4(texture(uImage, vAt).rgb * uAlpha, 1.0);
}
`;
