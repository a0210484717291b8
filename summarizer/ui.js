// What the page does in the browser alone: the Run key, copying, the chosen card, the way to the
// results on a small screen. Listens on the document, so it does not matter when gradio draws.
(() => {
  "use strict";

  const task = (element) => element.closest(".task");

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const run = task(event.target)?.querySelector("button.run");
    if (!run || run.disabled) return;
    event.preventDefault();
    run.click();
  });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("button.copy");
    if (copy) copyText(copy);
    const all = event.target.closest("button.all");
    if (all) all.setAttribute("aria-expanded", String(all.ariaExpanded !== "true"));
    const card = event.target.closest("button.card");
    if (card) choose(task(card), card);
    if (event.target.closest("button.clear")) choose(task(event.target), null);
  });

  document.addEventListener("input", (event) => {
    if (!event.target.closest(".source .text, .source .section")) return;
    const panel = task(event.target);
    choose(panel, null);
    if (panel.querySelector(".summary:not(.empty)")) {
      panel.querySelector(".results").dataset.stale = "true";
    }
  });

  new MutationObserver(() => {
    // gradio's accordion does not say whether it is open.
    for (const label of document.querySelectorAll(".settings .label-wrap")) {
      const open = String(label.classList.contains("open"));
      if (label.getAttribute("aria-expanded") !== open) label.setAttribute("aria-expanded", open);
    }
    // An error below the fold of a small screen would be no answer at all.
    for (const line of document.querySelectorAll('.status[data-state="error"]:not([data-told])')) {
      line.dataset.told = "true";
      line.scrollIntoView({ block: "nearest" });
    }
  }).observe(document, {
    attributeFilter: ["class"],
    childList: true,
    subtree: true,
  });

  function choose(panel, chosen) {
    for (const card of panel.querySelectorAll("button.card[aria-current]")) {
      card.removeAttribute("aria-current");
    }
    chosen?.setAttribute("aria-current", "true");
    delete panel.querySelector(".results").dataset.stale;
  }

  async function copyText(button) {
    const text = button.closest("article").querySelector(".summary").textContent;
    button.textContent = (await copied(text)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // No clipboard without https: the old way.
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      area.style.opacity = "0";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  // Called when a run has begun: bring the columns into sight if they are not.
  window.reveal = (name) => {
    const results = document.querySelector(`.${name} .results`);
    if (!results) return;
    delete results.dataset.stale;
    const top = results.getBoundingClientRect().top;
    if (top >= 0 && top < window.innerHeight * 0.6) return;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    results.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  };
})();
