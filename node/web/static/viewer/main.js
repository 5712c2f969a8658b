// Starts the viewer's page: fetches what there is to see, and connects the page with the viewer.

import { Controls } from "./controls.js";
import { Overlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { Viewer } from "./viewer.js";

const canvas = document.getElementById("picture");
const panelElement = document.getElementById("panel");
const help = document.getElementById("help");
const overlay = new Overlay();

async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the node answers ${answer.status}`);
  return answer.json();
}

function decodeMaps(texts) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, bytes(text)]));
}

// Without WebGL2 the node draws the same view.
function showDrawn(reason) {
  const picture = new Image();
  const size = `w=${Math.round(canvas.clientWidth)}&h=${Math.round(canvas.clientHeight)}`;
  picture.src = `${document.body.dataset.image}?${location.hash.slice(1)}&${size}`;
  picture.alt = canvas.getAttribute("aria-label");
  canvas.replaceWith(picture);
  overlay.say(`This picture was drawn by the node, for ${reason}.`);
}

function connect(viewer, panel) {
  const toggles = new Map([["panel", document.querySelector("[data-do=panel]")]]);
  const say = (text, ms = 1600) => {
    overlay.say(text);
    setTimeout(() => overlay.say(null), ms);
  };
  const commands = {
    panel() {
      panelElement.hidden = !panelElement.hidden;
      document.body.classList.toggle("has-panel", !panelElement.hidden);
      toggles.get("panel").setAttribute("aria-expanded", String(!panelElement.hidden));
    },
    help: () => help.showModal(),
    full() {
      if (document.fullscreenElement) document.exitFullscreen();
      else document.documentElement.requestFullscreen().catch(() => say("This browser allows no full screen here."));
    },
    async link() {
      const address = `${location.origin}${location.pathname}#${viewer.text()}`;
      try {
        await navigator.clipboard.writeText(address);
        say("The link is copied.");
      } catch {
        prompt("The link to this view:", address);
      }
    },
    // The node draws it: with its scale bar, and the same for everybody.
    picture() {
      const size = `w=${Math.min(canvas.clientWidth, 2000)}&h=${Math.min(canvas.clientHeight, 2000)}`;
      window.open(`${document.body.dataset.image}?${viewer.text()}&${size}`, "_blank", "noopener");
    },
    async save() {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await viewer.renderer.picture());
      link.download = `${document.querySelector(".title").textContent.trim().slice(0, 80) || "view"}.png`;
      link.click();
      URL.revokeObjectURL(link.href);
    },
    goto() {
      const text = prompt("Go to x, y in nm:", viewer.camera.centre.slice(0, 2).map((value) => Math.round(value)).join(", "));
      const place = (text ?? "").split(/[,;\s]+/).map(Number);
      if (place.length >= 2 && place.every(Number.isFinite)) viewer.goTo(place.slice(0, 3));
      else if (text) say("That is no place: two numbers in nm are wanted.");
    },
  };
  const next = (names, now) => names[(names.indexOf(now) + 1) % names.length];
  const keys = {
    "?": commands.help, h: commands.help, p: commands.panel, f: commands.full, l: commands.link, s: commands.save,
    g: commands.goto, r: () => viewer.showAll(), 0: () => viewer.showAll(),
    d: () => viewer.set({ mode: next(["density", "points", "gaussian"], viewer.state.mode) }, "rebuild"),
    c: () => viewer.set({ map: next(viewer.maps, viewer.state.map) }, "restyle"),
    z: () => { if (viewer.is3D) viewer.set({ by: viewer.state.by === "z" ? null : "z", range: null }, "rebuild"); },
    t: () => { if (viewer.columnOf("frame")) viewer.set({ by: viewer.state.by === "frame" ? null : "frame", range: null }, "rebuild"); },
    "[": () => viewer.brighten(0.8), "]": () => viewer.brighten(1.25),
  };
  const controls = new Controls(canvas, viewer.camera, {
    onMove: () => viewer.moved(),
    onPlace: (at) => overlay.showWhere(at && viewer.camera.toData(...at), viewer.is3D ? 3 : 2),
    canTurn: () => viewer.is3D,
    onCommand(key) {
      if (/^[1-9]$/.test(key) && viewer.renderer.channels.length > 1) {
        const channel = viewer.renderer.channels[Number(key) - 1];
        if (channel) viewer.setChannel(Number(key) - 1, { isVisible: !channel.look.isVisible });
        panel.build();
        return true;
      }
      const run = keys[key.toLowerCase()];
      run?.();
      return Boolean(run);
    },
  });
  const tools = document.querySelector(".tools");
  tools.hidden = false;
  tools.addEventListener("click", (event) => commands[event.target.closest("button")?.dataset.do]?.());
  addEventListener("hashchange", () => viewer.readAddress().catch((error) => overlay.say(`${error.message}.`)));
  addEventListener("pagehide", (event) => {
    if (event.persisted) return;
    controls.close();
    viewer.close();
  });
}

async function start() {
  let viewer;
  try {
    const [described, maps] = await Promise.all([
      load(document.body.dataset.document), load(new URL("colormaps.json", import.meta.url)),
    ]);
    let panel = null;
    viewer = new Viewer(canvas, { document: described, maps: decodeMaps(maps), overlay, onRebuild: () => panel?.build() });
    document.body.dataset.ui = viewer.state.ui;
    panel = new Panel(panelElement, viewer);
    viewer.onCount = (counts, placed) => panel.showKept(counts, placed);
    connect(viewer, panel);
    window.locmeshViewer = viewer;
  } catch (error) {
    if (error.name === "GraphicsError") showDrawn(error.message);
    else overlay.say(`The viewer could not start: ${error.message}.`);
    return;
  }
  try {
    await viewer.open();
  } catch (error) {
    overlay.say(`The data could not be opened: ${error.message}`);
  }
}

start();
