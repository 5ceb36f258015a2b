// Sends the form "Start again with the same options" once, however often it is pressed: a second one would be refused.
"use strict";

(() => {
  const form = document.querySelector("[data-again-form]");
  if (!form) return;
  const button = form.querySelector("button");
  const resting = button.textContent;
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "true";
    button.textContent = "Starting…";
    button.setAttribute("aria-disabled", "true");
  });
  // Coming back with the browser's Back button must find a form that can be sent again.
  window.addEventListener("pageshow", () => {
    delete form.dataset.sent;
    button.textContent = resting;
    button.removeAttribute("aria-disabled");
  });
})();
