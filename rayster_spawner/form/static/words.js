// How the pages say times and places to people, and every moment in the reader's own time. Loaded before the others.
"use strict";

(() => {
  const FRESH_SECONDS = 60;
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

  /** How old something is, as site_words.age_words says it: nothing while it is fresh. */
  function age(seconds) {
    if (seconds === null || !(seconds >= FRESH_SECONDS)) return "";
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `as of ${minutes} min ago`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `as of ${hours} h ago` : `as of ${Math.floor(hours / 24)} d ago`;
  }

  /** 1st, 2nd, 3rd, 4th, … 11th, … 21st. */
  function ordinal(n) {
    const isTeen = n % 100 >= 11 && n % 100 <= 13;
    return `${n}${isTeen ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th"}`;
  }

  /** A moment near today: "15:20", "tomorrow, 03:10", "Fri 27 Nov, 15:20". */
  function moment(date, now = new Date()) {
    const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const day = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
    const days = Math.round((day(date) - day(now)) / DAY_MILLISECONDS);
    if (days === 0) return time;
    if (days === 1) return `tomorrow, ${time}`;
    if (days === -1) return `yesterday, ${time}`;
    return `${date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" })}, ${time}`;
  }

  /** When something that is `seconds` away will be: "about 15:20 (in about 14 min)". */
  function expected(seconds, now = new Date()) {
    if (seconds < 45) return { at: "any moment now", left: "" };
    const rounded = Math.round(seconds / 60) * 60;
    return { at: `about ${moment(new Date(now.getTime() + rounded * 1000), now)}`, left: `in about ${span(rounded)}` };
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
