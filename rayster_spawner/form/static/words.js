// How the pages say times and places to people, and every moment in the reader's own time. Loaded before the others.
"use strict";

(() => {
  const FRESH_SECONDS = 60;
  const SOON_SECONDS = 45;
  const DAY_MILLISECONDS = 24 * 3600 * 1000;

  /** Seconds for reading, by the minute: "40 s", "12 min", "3 h 05 min", "4 d". */
  function span(seconds) {
    if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours >= 48) return `${Math.floor(hours / 24)} d`;
    return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  }

  /** How old a site's state is, as site_words.age_words says it: nothing while it is fresh. */
  function age(state, seconds) {
    if (seconds === null || !(seconds >= FRESH_SECONDS)) return "";
    const since = state === "unknown" ? "last heard" : "as of";
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${since} ${minutes} min ago`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${since} ${hours} h ago` : `${since} ${Math.floor(hours / 24)} d ago`;
  }

  /** 1st, 2nd, 3rd, 4th, … 11th, … 21st. */
  function ordinal(n) {
    const isTeen = n % 100 >= 11 && n % 100 <= 13;
    return `${n}${isTeen ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th"}`;
  }

  /** The day of a moment as people say it near today, with a comma; nothing for today itself. */
  function day(date, now) {
    const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
    const days = Math.round((midnight(date) - midnight(now)) / DAY_MILLISECONDS);
    if (days === 0) return "";
    if (days === 1) return "tomorrow, ";
    if (days === -1) return "yesterday, ";
    return `${date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" })}, `;
  }

  function clock(date) {
    return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }

  /** A moment near today: "15:20", "tomorrow, 03:10", "Fri 27 Nov, 15:20". */
  function moment(date, now = new Date()) {
    return day(date, now) + clock(date);
  }

  /** When something that is `seconds` away will be: "about 15:20" and "in about 14 min". */
  function expected(seconds, now = new Date()) {
    if (seconds < SOON_SECONDS) return { at: "any moment now", left: "" };
    const rounded = Math.round(seconds / 60) * 60;
    const date = new Date(now.getTime() + rounded * 1000);
    return { at: `${day(date, now)}about ${clock(date)}`, left: `in about ${span(rounded)}` };
  }

  /** The moments in `root`, which the hub wrote in UTC, in the reader's time zone. */
  function localise(root) {
    for (const time of root.querySelectorAll("time[data-local]")) {
      const date = new Date(time.dateTime);
      if (!Number.isNaN(date.getTime())) time.textContent = moment(date);
    }
  }

  window.raysterWords = { span, age, ordinal, moment, expected, localise };
  localise(document);
})();
