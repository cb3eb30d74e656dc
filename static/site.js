// What every page needs of JavaScript; each page works without it.
document.documentElement.classList.add("js");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    const code = button.parentElement.querySelector("code, pre");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A filter left empty is no part of the address.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (!detail.elt.matches("form[data-clean]")) return;
  for (const [name, value] of Object.entries(detail.parameters)) {
    if (value === "") delete detail.parameters[name];
  }
});

// While another kind's form is on its way, nothing can be typed into the one that it replaces.
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target.id === "submit") detail.target.inert = true;
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target.id === "submit") detail.target.inert = false;
});
