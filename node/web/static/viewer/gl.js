// The little of WebGL2 that is needed here, with errors that say what is wrong.

export class GraphicsError extends Error {
  name = "GraphicsError";
}

// Floats that add up: half floats stop at 2048 counts and 8 bits at 255.
export function openContext(canvas) {
  const gl = canvas.getContext("webgl2", {
    alpha: false, antialias: false, depth: false, stencil: false,
    powerPreference: "high-performance", preserveDrawingBuffer: false,
  });
  if (!gl) throw new GraphicsError("this browser offers no WebGL2");
  if (!gl.getExtension("EXT_color_buffer_float") || !gl.getExtension("EXT_float_blend")) {
    throw new GraphicsError("this graphics card cannot add up floating point pictures");
  }
  return gl;
}

// Drawing on the processor, as in virtual machines: then fewer points a frame.
export function isSoftware(gl) {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

function compile(gl, type, source) {
  const shader = gl.createShader(type);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
    throw new GraphicsError(`a shader does not compile: ${gl.getShaderInfoLog(shader)}`);
  }
  return shader;
}

// A linked program and where its uniforms are.
export function makeProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  const shaders = [compile(gl, gl.VERTEX_SHADER, vertex), compile(gl, gl.FRAGMENT_SHADER, fragment)];
  for (const shader of shaders) gl.attachShader(program, shader);
  gl.linkProgram(program);
  for (const shader of shaders) gl.deleteShader(shader);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new GraphicsError(`a program does not link: ${gl.getProgramInfoLog(program)}`);
  }
  const at = {};
  const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) ?? 0;
  for (let index = 0; index < count; index += 1) {
    const name = gl.getActiveUniform(program, index).name.replace(/\[0\]$/, "");
    at[name] = gl.getUniformLocation(program, name);
  }
  return { program, at };
}

export function makeTexture(gl, { format, width, height, data = null }) {
  const texture = gl.createTexture();
  const [internal, layout, type] = {
    R32F: [gl.R32F, gl.RED, gl.FLOAT],
    RGBA32F: [gl.RGBA32F, gl.RGBA, gl.FLOAT],
    RG32UI: [gl.RG32UI, gl.RG_INTEGER, gl.UNSIGNED_INT],
    RGBA8: [gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE],
  }[format];
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, internal, width, height, 0, layout, type, data);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
    gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  }
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  }
  return texture;
}

// A texture one can draw into.
export class Target {
  constructor(gl, format, width, height) {
    this.gl = gl;
    this.width = width;
    this.height = height;
    this.format = format;
    this.texture = makeTexture(gl, { format, width, height });
    this.frame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE && !gl.isContextLost()) {
      throw new GraphicsError("this graphics card cannot draw floating point pictures");
    }
  }

  get byteLength() {
    return this.width * this.height * (this.format === "R32F" ? 4 : 16);
  }

  clear() {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  free() {
    this.gl.deleteFramebuffer(this.frame);
    this.gl.deleteTexture(this.texture);
  }
}
