// The button "Notify me when it is ready" of the pending page. Whether it is wanted is remembered by this browser only.
"use strict";

(() => {
  const KEY = "rayster.notify";

  function remembered() {
    try {
      return window.localStorage.getItem(KEY) === "yes";
    } catch {
      return false;
    }
  }

  function remember(isWanted) {
    try {
      if (isWanted) window.localStorage.setItem(KEY, "yes");
      else window.localStorage.removeItem(KEY);
    } catch {
      // A browser that keeps nothing asks again on the next page.
    }
  }

  /** Set the button up; return a function that notifies, where that is wanted and allowed. */
  function create(button, hint, tag) {
    let isWanted = false;

    function show() {
      const permission = "Notification" in window && window.isSecureContext ? Notification.permission : "none";
      isWanted = permission === "granted" && remembered();
      button.hidden = permission === "none" || permission === "denied";
      button.setAttribute("aria-pressed", String(isWanted));
      button.textContent = isWanted ? "You will be notified" : "Notify me when it is ready";
      hint.textContent =
        {
          none: "This browser cannot notify you from here. The title of this tab changes when it is ready.",
          denied: "This browser blocks notifications of this hub. The title of this tab changes when it is ready.",
        }[permission] || "";
    }

    button.addEventListener("click", async () => {
      if (isWanted) {
        remember(false);
      } else {
        // Browsers ask the user themselves, and only when it was a click that wanted it.
        await Notification.requestPermission();
        remember(Notification.permission === "granted");
      }
      show();
    });
    show();

    return (title, body) => {
      if (!isWanted) return;
      try {
        // With the same tag two tabs make one notification.
        const notification = new Notification(title, { body, tag });
        notification.onclick = () => window.focus();
      } catch {
        // Some browsers on phones have the name and not the thing.
      }
    };
  }

  window.raysterNotify = { create };
})();
