// Keeps the site states on the spawn form's cards up to date, and asks before queueing at a site that is away.
"use strict";

(() => {
  const STATES = ["available", "busy", "unreachable", "unknown"];
  const TICK_MILLISECONDS = 15000;
  const NEWS_MILLISECONDS = 1000;
  const MOST_NEWS = 3;
  const { age, moment } = window.raysterWords;

  function text(value) {
    return typeof value === "string" ? value.slice(0, 300) : "";
  }

  /** As site_words.why_anyway says it. */
  function whyAnyway(site, words) {
    return /^unreachable/i.test(words) ? `${site} does not answer.` : `${site}: ${words}.`;
  }

  /** The parts of a status that can be shown, or null where there is none. */
  function read(status) {
    if (status === null || typeof status !== "object" || !STATES.includes(status.state)) return null;
    return {
      state: status.state,
      text: text(status.text) || status.state,
      detail: text(status.detail),
      age: Number.isFinite(status.age_seconds) ? status.age_seconds : null,
      since: status.state === "unreachable" && Number.isFinite(status.since) ? status.since : null,
    };
  }

  function start(root) {
    const cards = new Map();
    for (const option of root.querySelectorAll("[data-option]")) {
      const line = option.querySelector("[data-site]");
      if (!line) continue;
      const seconds = line.dataset.ageSeconds;
      cards.set(option.dataset.option, {
        option,
        line,
        age: seconds === undefined ? null : Number(seconds),
        heardAt: performance.now(),
      });
    }
    if (!cards.size) return;

    function put(element, words) {
      if (element.textContent !== words) element.textContent = words;
      element.hidden = !words;
    }

    // What the service knows does not grow old while it says that nothing is new; what it does not know does.
    let aliveAt = 0;
    function showAge(card) {
      const state = card.line.dataset.site;
      const from = state === "unknown" ? card.heardAt : Math.max(card.heardAt, aliveAt);
      const since = (performance.now() - from) / 1000;
      const words = card.age === null ? "" : age(state, card.age + since);
      put(card.line.querySelector("[data-site-age]"), words);
    }

    /** The checkbox is there, and needed, exactly while the site cannot be reached. */
    function askAnyway(card, status) {
      const isAway = status.state === "unreachable";
      const block = card.option.querySelector("[data-anyway]");
      if (isAway) put(block.querySelector("[data-anyway-why]"), whyAnyway(block.dataset.anyway, status.text));
      if (block.hidden === !isAway) return;
      const box = block.querySelector("[data-anyway-box]");
      block.hidden = !isAway;
      box.disabled = !isAway;
      box.removeAttribute("aria-invalid");
      put(block.querySelector(".rs-error"), "");
    }

    function show(card, status) {
      const { line } = card;
      line.hidden = false;
      line.dataset.site = status.state;
      line.querySelector("use").setAttribute("href", `#rs-site-${status.state}`);
      const words = line.querySelector("[data-site-text]");
      if (status.since === null) {
        put(words, status.text[0].toUpperCase() + status.text.slice(1));
      } else {
        put(words, `Unreachable since ${moment(new Date(status.since * 1000))}`);
      }
      put(line.querySelector("[data-site-detail]"), status.detail);
      card.age = status.age;
      card.heardAt = performance.now();
      showAge(card);
      askAnyway(card, status);
    }

    // Screen readers hear that a site's state is another one, not every number and age.
    const news = root.querySelector("[data-site-news]");
    const changed = new Set();
    let telling = 0;
    function tell(card) {
      changed.add(card);
      window.clearTimeout(telling);
      telling = window.setTimeout(() => {
        const said = [...changed].slice(0, MOST_NEWS).map(({ option, line }) => {
          const title = option.querySelector("[data-title]").textContent;
          return `${title}: ${line.querySelector("[data-site-text]").textContent}.`;
        });
        if (changed.size > MOST_NEWS) said.push(`${changed.size - MOST_NEWS} more have changed.`);
        changed.clear();
        news.textContent = said.join(" ");
      }, NEWS_MILLISECONDS);
    }

    function take(profiles) {
      if (profiles === null || typeof profiles !== "object") return;
      for (const [name, card] of cards) {
        const status = Object.hasOwn(profiles, name) ? read(profiles[name]) : null;
        if (!status) continue;
        const before = card.line.dataset.site;
        show(card, status);
        if (before && before !== status.state) tell(card);
      }
    }

    window.setInterval(() => cards.forEach(showAge), TICK_MILLISECONDS);
    if (!root.dataset.liveUrl) return;
    const stopped = root.querySelector("[data-live-stopped]");
    window.raysterLive.follow(`${root.dataset.liveUrl}/api/sites/events`, root.dataset.liveTicket, {
      onAlive: () => (aliveAt = performance.now()),
      onEvent: (name, data) => name === "sites" && take(data.profiles),
      onRefused: () => put(stopped, "The states above are no longer kept up to date. Reload this page for fresh ones."),
    });
  }

  document.querySelectorAll("[data-rayster-form]").forEach(start);
})();
