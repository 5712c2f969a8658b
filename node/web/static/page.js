// What a script adds to pages that work without one. No state of its own: it lives in the address.

const search = document.getElementById("search");
const box = search.elements.q;

// "/" goes to the search box, as its hint says; not while somebody types.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  box.focus();
  box.select();
});

// An address names only what was chosen.
search.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) {
    if (!value.trim()) event.formData.delete(name);
  }
});

// A filter applies at once where its effect is in sight; in the phone's sheet a button does.
const KEPT = "locmesh.focus";
const filters = document.getElementById("filters");

function sheetIsOpen() {
  return filters?.matches(":popover-open") ?? false;
}

function submitKeepingPlace(control) {
  const kept = { name: control.name, value: control.value, top: window.scrollY };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
  search.requestSubmit();
}

document.addEventListener("change", (event) => {
  const control = event.target;
  if (control.form !== search || control === box || sheetIsOpen()) return;
  submitKeepingPlace(control);
});

// After such a reload the keyboard and the eye are where they were.
function returnToPlace() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (!kept || !filters) return;
  const controls = [...search.elements].filter((control) => control.name === kept.name);
  const control = controls.find((one) => one.value === kept.value) ?? controls[0];
  control?.closest("details")?.setAttribute("open", "");
  control?.focus({ preventScroll: true });
  window.scrollTo(0, kept.top);
}
returnToPlace();

// Copy buttons say what happened, in their own place.
async function copy(button, text) {
  const word = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = word; }, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-address]");
  if (button) copy(button, button.dataset.copy ?? location.href);
});

// The theme changes without a reload; the cookie tells the server for the next page.
document.querySelector("form.theme").addEventListener("submit", (event) => {
  const theme = event.submitter?.value ?? "";
  event.preventDefault();
  const age = theme ? 31536000 : 0;
  document.cookie = `theme=${theme}; Path=/; Max-Age=${age}; SameSite=Lax`;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const button of event.target.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
});

// The tab of the part that is being read.
const tabs = [...document.querySelectorAll(".tabs a")];
if (tabs.length) {
  const parts = new Map(tabs.map((tab) => [document.querySelector(tab.hash), tab]));
  const watcher = new IntersectionObserver((entries) => {
    const entry = entries.filter((one) => one.isIntersecting).pop();
    if (!entry) return;
    for (const tab of tabs) tab.removeAttribute("aria-current");
    parts.get(entry.target).setAttribute("aria-current", "true");
  }, { rootMargin: "-20% 0px -70%" });
  for (const part of parts.keys()) watcher.observe(part);
}
