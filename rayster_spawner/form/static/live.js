// Follows a stream of the RaySTER service, which goes on while the hub is away. Knows nothing of what is in it.
"use strict";

(() => {
  const FIRST_WAIT_MILLISECONDS = 1000;
  const LONGEST_WAIT_MILLISECONDS = 30000;
  // The service says something every 15 s, if only that it is there.
  const SILENCE_MILLISECONDS = 50000;
  const HIDDEN_MILLISECONDS = 2 * 60 * 1000;
  const LONGEST_EVENT = 4 * 1024 * 1024;

  /** How long to wait before the attempt after `failures` failed ones. Spread, so that pages do not come all at once. */
  function waitMilliseconds(failures, random = Math.random) {
    const full = Math.min(LONGEST_WAIT_MILLISECONDS, FIRST_WAIT_MILLISECONDS * 2 ** Math.max(0, failures - 1));
    return full / 2 + (random() * full) / 2;
  }

  /** Return a function that takes pieces of an event stream and calls `onEvent(name, data)` for each whole event. */
  function parser(onEvent) {
    let rest = "";
    let name = "";
    let data = [];
    let length = 0;
    function line(text) {
      if (text === "") {
        if (data.length) onEvent(name || "message", data.join("\n"));
        [name, data, length] = ["", [], 0];
        return;
      }
      const at = text.indexOf(":");
      const field = at < 0 ? text : text.slice(0, at);
      const value = at < 0 ? "" : text.slice(at + 1).replace(/^ /, "");
      if (field === "event") name = value;
      if (field === "data") data.push(value);
      length += text.length;
    }
    return (piece) => {
      rest += piece;
      // A carriage return at the end may be the first half of a line's end.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      lines.forEach(line);
      if (rest.length + length > LONGEST_EVENT) throw new Error("the event does not end");
    };
  }

  /**
   * Follow the event stream at `url` for as long as the page is open, through every break of it.
   *
   * `onEvent(name, object)` gets each event whose data is a JSON object; `onUp()` is called when the stream speaks,
   * `onAlive()` also when it only says that nothing is new, `onDown()` when it broke and is tried again, and
   * `onRefused()` when the ticket does not count (any more): nothing is tried after that. A page that nobody looks at
   * lets go after some minutes: browsers have six connections for all tabs of a hub, unless its proxy speaks HTTP/2.
   */
  function follow(url, ticket, { onEvent, onUp, onAlive, onDown, onRefused }) {
    let failures = 0;
    let retry = 0;
    let hiding = 0;
    let running = null;
    let isRefused = false;
    let isPaused = false;

    async function read(stop) {
      const answer = await fetch(url, {
        headers: { Authorization: `Ticket ${ticket}`, Accept: "text/event-stream" },
        cache: "no-store",
        redirect: "error",
        signal: stop.signal,
      });
      if (answer.status === 401 || answer.status === 403) {
        isRefused = true;
        answer.body?.cancel();
        return;
      }
      const type = answer.headers.get("Content-Type") || "";
      if (!answer.ok || !type.startsWith("text/event-stream")) throw new Error(`the service answered ${answer.status}`);
      const take = parser((name, text) => {
        let object = null;
        try {
          object = JSON.parse(text);
        } catch {
          // Nothing is known from what cannot be read.
        }
        if (object === null || typeof object !== "object" || Array.isArray(object)) return;
        failures = 0;
        onUp?.();
        onEvent(name, object);
      });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const silence = window.setTimeout(() => stop.abort(), SILENCE_MILLISECONDS);
        const { done, value } = await reader.read().finally(() => window.clearTimeout(silence));
        if (done) return;
        onAlive?.();
        take(value);
      }
    }

    async function run() {
      window.clearTimeout(retry);
      const stop = new AbortController();
      running = stop;
      try {
        await read(stop);
      } catch {
        // Every way in which a stream can break means the same: try again in a while.
      }
      stop.abort();
      running = null;
      if (isRefused) {
        onRefused?.();
        return;
      }
      onDown?.();
      if (isPaused) return;
      failures += 1;
      retry = window.setTimeout(run, waitMilliseconds(failures));
    }

    /** Try at once instead of at the end of the wait: something has changed for the better. */
    function again() {
      isPaused = false;
      if (!running && !isRefused) run();
    }

    document.addEventListener("visibilitychange", () => {
      window.clearTimeout(hiding);
      if (!document.hidden) {
        again();
      } else {
        hiding = window.setTimeout(() => {
          isPaused = true;
          window.clearTimeout(retry);
          running?.abort();
        }, HIDDEN_MILLISECONDS);
      }
    });
    window.addEventListener("online", again);
    // A page that comes back from the browser's memory has lost its stream.
    window.addEventListener("pageshow", (event) => event.persisted && again());
    run();
  }

  window.raysterLive = { follow, parser, waitMilliseconds };
})();
