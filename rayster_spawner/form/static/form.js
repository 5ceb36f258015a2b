// Makes the spawn form pleasant: only the chosen profile's fields count, sliders and presets, the summary line, the
// spawn link, and errors beside their field before anything is sent. The form works without it; the hub decides.
"use strict";

(() => {
  const LONGEST_MINUTES = 366 * 24 * 60;
  const CLOCK = /^(?:(\d{1,3})-)?(\d{1,4}):([0-5]\d)(?::([0-5]\d))?$/;
  const UNITS = /^(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m(?:in)?)?$/;
  const BARE = /^\d{1,9}(?:\.\d{1,6})?$/;

  /** Minutes in what a person typed, or null. As rayster_spawner.options reads it. */
  function parseMinutes(typed) {
    const text = typed.trim();
    let minutes = null;
    const clock = CLOCK.exec(text);
    const units = text ? UNITS.exec(text) : null;
    if (BARE.test(text)) {
      minutes = Math.ceil(Number(text));
    } else if (clock) {
      const [days, hours, mins, seconds] = clock.slice(1).map((part) => Number(part || 0));
      minutes = (days * 24 + hours) * 60 + mins + (seconds ? 1 : 0);
    } else if (units) {
      const [days, hours, mins] = units.slice(1).map((part) => Number(part || 0));
      minutes = (days * 24 + hours) * 60 + mins;
    }
    return minutes === null || minutes > LONGEST_MINUTES ? null : minutes;
  }

  /** Minutes for reading, as quantities.format_walltime says them. */
  function durationWords(total) {
    const days = total > 2 * 24 * 60 ? Math.floor(total / (24 * 60)) : 0;
    const rest = total - days * 24 * 60;
    const parts = [[days, "d"], [Math.floor(rest / 60), "h"], [rest % 60, "min"]];
    return parts.filter(([n]) => n).map(([n, unit]) => `${n} ${unit}`).join(" ") || "0 min";
  }

  function count(number, thing) {
    return `${number} ${thing}${Number(number) === 1 ? "" : "s"}`;
  }

  function memoryWords(value, unit) {
    return unit === "MiB" && Number(value) % 1024 === 0 ? `${Number(value) / 1024} GiB` : `${value} ${unit}`;
  }

  function start(root) {
    const form = root.closest("form");
    const options = [...root.querySelectorAll("[data-option]")];
    const summary = root.querySelector("[data-summary]");
    const link = root.querySelector("[data-link]");
    let announcing = 0;

    const chosen = () => options.find((option) => option.querySelector(".rs-radio").checked) || options[0];

    function control(option, field) {
      const inputs = [...option.querySelectorAll(`[data-field="${field}"]`)];
      return inputs.length > 1 ? inputs.find((input) => input.checked) : inputs[0];
    }

    function summarise(option) {
      const value = (field) => control(option, field)?.value ?? "";
      const amounts = [
        count(Number(value("cpu")), "core"),
        memoryWords(Number(value("memory")), control(option, "memory").dataset.unit),
      ];
      if (Number(value("gpu"))) amounts.push(count(Number(value("gpu")), "GPU"));
      const minutes = parseMinutes(value("walltime"));
      return (
        `${option.querySelector("[data-title]").textContent}: ${amounts.join(", ")}` +
        (minutes === null ? "" : ` for ${durationWords(minutes)}`)
      );
    }

    function spawnLink(option) {
      const query = new URLSearchParams({ profile: option.dataset.option });
      for (const field of ["image", "cpu", "memory", "gpu", "walltime"]) {
        const input = control(option, field);
        if (input) query.set(field, input.value.trim() + (field === "memory" ? input.dataset.unit.replace(/B$/, "") : ""));
      }
      const hub = window.jhdata ? window.jhdata.base_url : "/hub/";
      return `${location.origin}${hub}spawn?${query}`;
    }

    /** Only the chosen profile's controls are seen, checked and sent; the others keep what was typed in them. */
    function choose() {
      for (const option of options) {
        const panel = option.querySelector("[data-panel]");
        const isChosen = option === chosen();
        panel.hidden = !isChosen;
        panel.disabled = !isChosen;
        option.classList.toggle("rs-is-chosen", isChosen);
      }
    }

    function refresh() {
      const option = chosen();
      const isComplete = [...option.querySelectorAll("[data-field]")].every((input) => input.validity.valid);
      link.value = spawnLink(option);
      for (const button of option.querySelectorAll("[data-preset]")) {
        const isSame = parseMinutes(button.dataset.preset) === parseMinutes(control(option, "walltime").value);
        button.setAttribute("aria-pressed", String(isSame));
      }
      // Screen readers hear the line once the typing or dragging pauses.
      window.clearTimeout(announcing);
      announcing = window.setTimeout(() => {
        summary.textContent = isComplete ? summarise(option) : "Not complete yet: see the marked fields.";
      }, summary.textContent ? 250 : 0);
    }

    function message(input) {
      if (input.dataset.message) return input.dataset.message;
      const { min, max, unit, minMinutes, maxMinutes } = { ...input.dataset, min: input.min, max: input.max };
      if (minMinutes) {
        return `Must be a time of ${durationWords(Number(minMinutes))} to ${durationWords(Number(maxMinutes))}, such as 90m or 2h30m.`;
      }
      const whole = input.step === "1" ? "a whole number, " : "";
      return `Must be ${whole}${min} to ${max} ${unit}.`;
    }

    function show(input, text) {
      const holder = input.closest("[data-control]");
      const error = holder.querySelector(".rs-error");
      const described = new Set((input.getAttribute("aria-describedby") || "").split(" ").filter(Boolean));
      error.textContent = text;
      error.hidden = !text;
      described[text ? "add" : "delete"](error.id);
      if (described.size) input.setAttribute("aria-describedby", [...described].join(" "));
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }

    function check(input) {
      if (input.dataset.minMinutes) {
        const minutes = parseMinutes(input.value);
        const { minMinutes, maxMinutes } = input.dataset;
        const isWithin = minutes !== null && minutes >= Number(minMinutes) && minutes <= Number(maxMinutes);
        input.setCustomValidity(isWithin ? "" : message(input));
      } else if (input.type === "text" && BARE.test(input.value.trim())) {
        // What came back from the hub with an error was no number; now that it is one, the bounds count again.
        input.type = "number";
      }
    }

    function slide(slider, input) {
      const step = Number(slider.dataset.sliderStep);
      const [min, max, at] = [slider.min, slider.max, slider.value].map(Number);
      const rounded = at >= max ? max : at <= min ? min : Math.round(at / step) * step;
      input.value = String(Math.min(max, Math.max(min, rounded)));
    }

    for (const slider of root.querySelectorAll(".rs-slider")) {
      const input = slider.closest("[data-control]").querySelector("[data-field]");
      slider.hidden = false;
      slider.addEventListener("input", () => {
        slide(slider, input);
        input.dispatchEvent(new Event("input", { bubbles: true }));
      });
      input.addEventListener("input", () => {
        if (document.activeElement !== slider) slider.value = input.value;
      });
    }
    for (const presets of root.querySelectorAll(".rs-presets")) {
      const input = presets.closest("[data-control]").querySelector("[data-field]");
      presets.hidden = false;
      presets.addEventListener("click", (event) => {
        const button = event.target.closest("[data-preset]");
        if (!button) return;
        input.value = button.dataset.preset;
        input.dispatchEvent(new Event("input", { bubbles: true }));
      });
    }

    root.addEventListener("input", (event) => {
      const input = event.target;
      if (input.dataset.field) check(input);
      if ((input.dataset.field || input.dataset.message) && input.validity.valid) show(input, "");
      refresh();
    });
    // A field is called wrong when the user leaves it, not while it is being typed; and not while a button is being
    // pressed: the new line would push the button away from under the pointer, and the click would be lost.
    let isPressed = false;
    window.addEventListener("pointerdown", () => (isPressed = true), true);
    for (const released of ["pointerup", "pointercancel"]) {
      window.addEventListener(released, () => window.setTimeout(() => (isPressed = false)), true);
    }
    function complain(input) {
      if (isPressed) window.setTimeout(complain, 50, input);
      else if (!input.validity.valid) show(input, message(input));
    }
    root.addEventListener("change", (event) => {
      const input = event.target;
      if (input.matches(".rs-radio")) choose();
      if (input.dataset.field) complain(input);
      refresh();
    });
    let isFirstInvalid = true;
    root.addEventListener(
      "invalid",
      (event) => {
        event.preventDefault();
        show(event.target, message(event.target));
        if (isFirstInvalid) event.target.focus();
        isFirstInvalid = false;
        window.setTimeout(() => (isFirstInvalid = true));
        refresh();
      },
      true,
    );

    root.querySelector("[data-copy]").addEventListener("click", async () => {
      const copied = root.querySelector("[data-copied]");
      link.select();
      try {
        await navigator.clipboard.writeText(link.value);
        copied.textContent = "Copied";
      } catch {
        // Browsers allow the clipboard on https and localhost only; the link is selected for the user's own copy.
        copied.textContent = "Press Ctrl+C";
      }
      window.setTimeout(() => (copied.textContent = ""), 4000);
    });
    for (const line of root.querySelectorAll("[data-problems] a")) {
      line.addEventListener("click", (event) => {
        const target = document.getElementById(line.hash.slice(1));
        if (!target) return;
        event.preventDefault();
        target.focus();
      });
    }

    const button = form.querySelector("[data-starting]");
    const resting = button ? button.textContent : "";
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "true";
      if (button) {
        button.textContent = button.dataset.starting;
        button.setAttribute("aria-disabled", "true");
      }
    });
    // Coming back with the browser's Back button must find a form that can be sent again.
    window.addEventListener("pageshow", () => {
      delete form.dataset.sent;
      if (button) {
        button.textContent = resting;
        button.removeAttribute("aria-disabled");
      }
      choose();
      root.querySelectorAll("[data-field]").forEach(check);
      refresh();
    });

    form.noValidate = false;
    root.querySelector("[data-outcome]").hidden = false;
    choose();
    root.querySelectorAll("[data-field]").forEach(check);
    refresh();
  }

  window.raysterForm = { parseMinutes, durationWords };
  document.querySelectorAll("[data-rayster-form]").forEach(start);
})();
