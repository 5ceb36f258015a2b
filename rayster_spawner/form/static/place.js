// Shows where a server stands on the pending page: its state and why, its place in the queue, and what counts up or down.
"use strict";

(() => {
  const STEPS = ["submitted", "queued", "starting", "running"];
  // A site is asked every 15 s or so; only what is clearly older is worth a word.
  const OLD_SECONDS = 45;
  // The hub repeats an unchanged report once a minute; after two nothing new has come for certain.
  const QUIET_SECONDS = 120;
  const { span, ordinal, expected } = window.raysterWords;

  /** Seconds for reading, by the second at first: "3 s", "12 min 04 s", "1 h 05 min". */
  function elapsedWords(seconds) {
    if (seconds < 60 || seconds >= 3600) return span(seconds);
    return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  }

  function text(value) {
    return typeof value === "string" ? value.slice(0, 2000) : "";
  }

  function number(value) {
    return Number.isFinite(value) ? value : null;
  }

  function capital(words) {
    return words.slice(0, 1).toUpperCase() + words.slice(1);
  }

  /**
   * The text of an event. Its HTML is only read, never put into the page: a site's words may be in it. What counts up
   * or down is shown beside it by the second; without that the line stays the same for as long as nothing happens,
   * and screen readers and the log do not repeat it.
   */
  function textOf(event) {
    if (event.message !== undefined) {
      let said = String(event.message);
      if (number(event.expected_start_in_seconds) !== null) {
        said = said.replace(/, expected to start (?:any moment|in about [\w ]+)(?=,|:|$)/, "");
      }
      return event.elapsed_seconds === undefined ? said : said.replace(/, \d[\w ]* so far(?=:|$)/, "");
    }
    if (event.html_message === undefined) return "";
    return new DOMParser().parseFromString(event.html_message, "text/html").body.textContent.trim();
  }

  function create(page) {
    const find = (name) => page.querySelector(`[data-${name}]`);
    // Counted from what was said, by a clock that nobody sets: the browser's time of day may be wrong.
    const now = () => performance.now() / 1000;
    let beganAt = null;
    let startsAt = null;
    let heard = null;
    let heardAt = 0;
    let isOver = false;

    function put(name, words) {
      const element = find(name);
      if (element.textContent !== words) element.textContent = words;
    }

    /** Show the row `name` with `words`; what is not known has no row. */
    function row(name, words) {
      put(name, words);
      find(`${name}-row`).hidden = !words;
    }

    function setElapsed(seconds) {
      beganAt = now() - seconds;
    }

    function tick() {
      if (isOver) return;
      if (beganAt !== null) row("elapsed", elapsedWords(Math.max(0, Math.floor(now() - beganAt))));
      const start = startsAt === null ? { at: "", left: "" } : expected(startsAt - now());
      row("expected", start.at);
      put("expected-in", start.left);
      find("ahead").hidden = find("position-row").hidden && find("expected-row").hidden;
      const quiet = now() - heardAt;
      const isOld = heard !== null && (heard >= OLD_SECONDS || quiet >= QUIET_SECONDS);
      row("heard", isOld ? `${span(heard + quiet)} ago` : "");
    }

    function showStep(state, isReady) {
      const at = STEPS.indexOf(state);
      if (at < 0) return;
      page.querySelectorAll("[data-step]").forEach((step, n) => {
        step.classList.toggle("rs-is-done", n < at || isReady);
        step.classList.toggle("rs-is-now", n === at && !isReady);
        if (n === at) step.setAttribute("aria-current", "step");
        else step.removeAttribute("aria-current");
      });
    }

    function showJob(event, said) {
      const found = event.job_id ? [null, event.job_id] : /\bjob(?: id)?[ :#]+(\d[\w.]*)/i.exec(said);
      if (found) row("job-id", String(found[1]).slice(0, 64).replace(/\.$/, ""));
    }

    /** Show a report, from whichever side it came; it has all facts, so what it leaves out is not known any more. */
    function report(event) {
      const said = textOf(event);
      const reason = text(event.reason);
      const isWaiting = event.state === "submitted" || event.state === "queued";
      // The reason has a line of its own, and so has the place.
      let line = reason && said.endsWith(`: ${reason}`) ? said.slice(0, -reason.length - 2) : said;
      if (number(event.position) !== null) line = line.replace(/, \d+(?:st|nd|rd|th) in line$/, "");
      if (line) put("state", line);
      put("reason", capital(reason));
      put("raw-reason", reason ? text(event.raw_reason) : "");
      find("raw-reason").hidden = !find("raw-reason").textContent;
      find("why").hidden = !reason;
      const position = number(event.position);
      const queue = text(event.partition) || text(event.site);
      const hasPlace = isWaiting && position !== null && position >= 1;
      put("position-where", hasPlace ? `in the queue${queue ? ` of ${queue}` : ""}` : "");
      row("position", hasPlace ? ordinal(position) : "");
      const seconds = number(event.expected_start_in_seconds);
      startsAt = isWaiting && seconds !== null ? now() + seconds : null;
      heard = number(event.heard_seconds_ago);
      heardAt = now();
      put("note", text(event.note));
      find("note").hidden = !text(event.note);
      if (number(event.elapsed_seconds) !== null) setElapsed(event.elapsed_seconds);
      showStep(event.state, Boolean(event.ready));
      showJob(event, said);
      tick();
    }

    /** Show an event that says something and no state, as other spawners send it. */
    function remark(event) {
      const said = textOf(event);
      if (said) put("state", said);
      if (number(event.elapsed_seconds) !== null) setElapsed(event.elapsed_seconds);
      const word = /^[a-z]+/i.exec(said);
      showStep(event.ready ? "running" : word && word[0].toLowerCase(), Boolean(event.ready));
      showJob(event, said);
    }

    /** Stop counting; what was about the queue is gone. */
    function end(words) {
      tick();
      isOver = true;
      put("state", words);
      for (const name of ["why", "ahead", "note", "heard-row"]) find(name).hidden = true;
      find("elapsed-row").querySelector("dt").textContent = "Waited";
    }

    return { report, remark, end, tick, setElapsed };
  }

  window.raysterPlace = { create, textOf };
})();
