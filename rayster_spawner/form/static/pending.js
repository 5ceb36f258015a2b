// Follows a spawn on the pending page: the state line, the steps, the time, the log, and a Cancel for this server.
"use strict";

(() => {
  const STEPS = ["submitted", "queued", "starting", "running"];
  const LONGEST_LOG = 200;
  const LOOK_AGAIN_MILLISECONDS = 5000;
  const STORY_MILLISECONDS = 1500;
  const page = document.querySelector("[data-pending]");
  if (!page) return;
  const find = (name) => page.querySelector(`[data-${name}]`);
  let isOver = false;
  let isCancelling = false;

  /** Seconds for reading: "3 s", "12 min", "1 h 05 min". */
  function elapsedWords(seconds) {
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
    return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  }

  // Counted from what the hub said, by a clock that nobody sets: the browser's time of day may be wrong.
  let beganAt = null;
  function setElapsed(seconds) {
    beganAt = performance.now() - seconds * 1000;
  }
  function tick() {
    if (beganAt === null || isOver) return;
    find("elapsed-row").hidden = false;
    find("elapsed").textContent = elapsedWords(Math.max(0, Math.floor((performance.now() - beganAt) / 1000)));
  }

  /**
   * The text of an event. Its HTML is only read, never put into the page: a site's words may be in it. How long it
   * has taken is shown beside it by the second; without that the line stays the same for as long as nothing happens,
   * and screen readers and the log do not repeat it.
   */
  function textOf(event) {
    if (event.message !== undefined) {
      const text = String(event.message);
      return event.elapsed_seconds === undefined ? text : text.replace(/, \d[\w ]* so far(?=:|$)/, "");
    }
    if (event.html_message === undefined) return "";
    return new DOMParser().parseFromString(event.html_message, "text/html").body.textContent.trim();
  }

  function showStep(event, text) {
    const word = /^[a-z]+/i.exec(text);
    const state = event.ready ? "running" : event.state || (word && word[0].toLowerCase());
    const at = STEPS.indexOf(state);
    if (at < 0) return;
    page.querySelectorAll("[data-step]").forEach((step, n) => {
      step.classList.toggle("rs-is-done", n < at || Boolean(event.ready));
      step.classList.toggle("rs-is-now", n === at && !event.ready);
      if (n === at) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
  }

  function showJob(event, text) {
    const found = event.job_id ? [null, event.job_id] : /\bjob(?: id)?[ :#]+(\d[\w.]*)/i.exec(text);
    if (!found) return;
    find("job").hidden = false;
    find("job-id").textContent = String(found[1]).replace(/\.$/, "");
  }

  const logged = new Set();
  const openedAt = performance.now();
  function log(text) {
    // After a lost connection the hub tells the story from its beginning.
    if (!text || logged.has(text)) return;
    logged.add(text);
    const line = document.createElement("li");
    line.className = "progress-log-event";
    // What is told at once happened before the page was opened: nobody knows when.
    if (performance.now() - openedAt > STORY_MILLISECONDS) {
      const time = document.createElement("time");
      time.textContent = `${new Date().toLocaleTimeString()} `;
      line.append(time);
    }
    line.append(text);
    find("log").append(line);
    if (find("log").children.length > LONGEST_LOG) find("log").firstElementChild.remove();
  }

  function end(heading, lead) {
    isOver = true;
    find("heading").textContent = heading;
    document.title = heading;
    find("lead").textContent = lead;
    find("cancel").hidden = true;
    find("cancel-status").textContent = "";
    find("connection").hidden = true;
    find("elapsed-row").querySelector("dt").textContent = "Waited";
    find("again").hidden = false;
    page.classList.add("rs-is-over");
  }

  function show(event) {
    const text = textOf(event);
    log(text);
    if (event.failed) {
      if (isCancelling || text === "Spawn cancelled") {
        find("state").textContent = "The start was cancelled.";
        end("Cancelled", "This server will not start. Your choice is remembered.");
      } else {
        find("state").textContent = text.replace(/^Spawn failed: /, "");
        page.classList.add("rs-has-failed");
        end("Your server could not start", "The reason is below. Your choice is remembered.");
        find("again").focus();
      }
      return;
    }
    if (text && find("state").textContent !== text) find("state").textContent = text;
    if (Number.isFinite(event.elapsed_seconds)) setElapsed(event.elapsed_seconds);
    showStep(event, text);
    showJob(event, text);
    if (event.ready) {
      isOver = true;
      // The hub answers a reload of this page with the way to the running server.
      window.location.reload();
    }
  }

  /** Wait until the hub answers again, then load the page anew: it shows whatever has become of the server. */
  async function lookAgain() {
    try {
      const answer = await fetch(location.href, { redirect: "manual", cache: "no-store", credentials: "same-origin" });
      // 502 to 504 are the proxy's: the hub itself is still away.
      if (answer.type === "opaqueredirect" || answer.status < 502) {
        window.location.reload();
        return;
      }
    } catch {
      // The connection was refused: the hub is still away.
    }
    window.setTimeout(lookAgain, LOOK_AGAIN_MILLISECONDS);
  }

  function follow() {
    const stream = new EventSource(page.dataset.progressUrl);
    stream.onopen = () => (find("connection").hidden = true);
    stream.onmessage = (message) => {
      const event = JSON.parse(message.data);
      if (event.ready || event.failed) stream.close();
      // For a second after a cancel the hub calls the server, whose start it has just stopped, ready.
      if (event.ready && isCancelling) return;
      show(event);
    };
    stream.onerror = () => {
      if (isOver) return;
      find("connection").textContent = "The hub does not answer right now; trying again. Your place is kept.";
      find("connection").hidden = false;
      if (stream.readyState === EventSource.CLOSED) window.setTimeout(lookAgain, LOOK_AGAIN_MILLISECONDS);
    };
  }

  function cancel(api) {
    const { user, server } = page.dataset;
    const button = find("cancel");
    isCancelling = true;
    button.disabled = true;
    find("cancel-status").textContent = "Cancelling…";
    const done = {
      success: (_data, _status, answer) => {
        // 202: the site takes its time to end the job; the hub's own page waits for that.
        if (answer && answer.status === 202) window.location.reload();
        else show({ failed: true, message: "Spawn cancelled" });
      },
      error: (answer) => {
        isCancelling = false;
        button.disabled = false;
        const reason = (answer.responseJSON && answer.responseJSON.message) || `the hub answered ${answer.status}`;
        find("cancel-status").textContent = `Could not cancel: ${reason}`;
      },
    };
    if (server) api.stop_named_server(user, server, done);
    else api.stop_server(user, done);
  }

  if (page.dataset.elapsedSeconds) setElapsed(Number(page.dataset.elapsedSeconds));
  tick();
  window.setInterval(tick, 1000);
  follow();
  window.require(["jhapi"], (JHAPI) => {
    const button = find("cancel");
    button.addEventListener("click", () => cancel(new JHAPI(window.jhdata.base_url)));
    if (!isOver) button.hidden = false;
    // The hub's own browser tests wait for this name.
    window._jupyterhub_page_loaded = true;
  });
})();
