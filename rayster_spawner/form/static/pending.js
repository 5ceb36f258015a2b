// Follows a spawn on the pending page by two streams, the hub's and the service's, and can cancel this very server.
"use strict";

(() => {
  const LIVING = ["submitted", "queued", "starting", "running"];
  const LONGEST_LOG = 200;
  const LOOK_AGAIN_MILLISECONDS = 5000;
  // A hub that is there and follows no start any more says why at once.
  const LOOK_FIRST_MILLISECONDS = 500;
  const STORY_MILLISECONDS = 1500;
  const page = document.querySelector("[data-pending]");
  if (!page) return;
  const find = (name) => page.querySelector(`[data-${name}]`);
  const { textOf } = window.raysterPlace;
  const place = window.raysterPlace.create(page);
  const { user, server } = page.dataset;
  const notify = window.raysterNotify.create(find("notify"), find("notify-hint"), `rayster-${user}-${server}`);
  let isOver = false;
  let isCancelling = false;
  let isHubUp = true;
  let isServiceUp = false;
  let hasReport = false;

  const logged = new Set();
  const openedAt = performance.now();
  function log(text) {
    // Both streams tell the same, and after a lost connection the hub tells the story from its beginning.
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

  function showConnection() {
    let words = "";
    if (!isHubUp) {
      words = isServiceUp
        ? "The hub is restarting; your place is kept."
        : "The hub does not answer right now; trying again. Your place is kept.";
    }
    const line = find("connection");
    if (line.textContent !== words) line.textContent = words;
    line.hidden = isOver || !words;
    find("cancel").disabled = isCancelling || !isHubUp;
  }

  function end(heading, lead, words) {
    isOver = true;
    place.end(words);
    find("heading").textContent = heading;
    document.title = heading;
    find("lead").textContent = lead;
    for (const name of ["cancel", "notify"]) find(name).hidden = true;
    for (const name of ["cancel-status", "notify-hint"]) find(name).textContent = "";
    showConnection();
    find("again").hidden = false;
    page.classList.add("rs-is-over");
  }

  function fail(text) {
    if (isCancelling || text === "Spawn cancelled") {
      end("Cancelled", "This server will not start. Your choice is remembered.", "The start was cancelled.");
      return;
    }
    page.classList.add("rs-has-failed");
    const reason = text.replace(/^Spawn failed: /, "");
    end("Your server could not start", "The reason is below. Your choice is remembered.", reason);
    notify("Your server could not start", reason.slice(0, 200));
    find("again").focus();
  }

  /** Show an event of the hub, the only one who knows whether the server is ready or has failed for good. */
  function showHubs(event) {
    const text = textOf(event);
    log(text);
    if (event.failed) {
      fail(text);
      return;
    }
    if (event.state) {
      hasReport = true;
      place.report(event);
    } else if (!hasReport || event.ready) {
      // Remarks of the cluster between two reports are for the log.
      place.remark(event);
    }
    if (event.ready) takeIn();
  }

  function takeIn() {
    isOver = true;
    document.title = "Ready: your server";
    notify("Your server is ready", find("asked-for")?.textContent || "");
    // The hub answers a reload of this page with the way to the running server.
    window.location.reload();
  }

  /** Show an event of the service. What ended while the hub is there to say so is the hub's to say. */
  function showServices(event) {
    if (isOver || isCancelling || (isHubUp && !LIVING.includes(event.state))) return;
    log(textOf(event));
    hasReport = true;
    place.report(event);
  }

  /** Ask the hub whether the server is ready: it may have become so before a restarted hub had a stream for this page. */
  function isReady() {
    return new Promise((resolve) => {
      const answers = {
        success: (model) => resolve(Boolean(model?.servers?.[server]?.ready)),
        error: () => resolve(false),
      };
      window.require(["jhapi"], (JHAPI) => new JHAPI(window.jhdata.base_url).get_user(user, answers));
    });
  }

  /** Wait until the hub answers again, then load the page anew: it shows whatever has become of the server. */
  async function lookAgain() {
    try {
      const answer = await fetch(location.href, { redirect: "manual", cache: "no-store", credentials: "same-origin" });
      // 502 to 504 are the proxy's while the hub is away, or the hub's own when it has to say why a start failed.
      const isHubs = answer.status < 502 || answer.headers.has("X-JupyterHub-Version");
      const isSentOn = answer.type === "opaqueredirect";
      if (isSentOn && (await isReady())) {
        takeIn();
        return;
      }
      if (isSentOn || isHubs) {
        window.location.reload();
        return;
      }
    } catch {
      // The connection was refused: the hub is still away.
    }
    window.setTimeout(lookAgain, LOOK_AGAIN_MILLISECONDS);
  }

  function followHub() {
    const stream = new EventSource(page.dataset.progressUrl);
    stream.onopen = () => {
      isHubUp = true;
      showConnection();
    };
    stream.onmessage = (message) => {
      const event = JSON.parse(message.data);
      if (event.ready || event.failed) stream.close();
      // For a second after a cancel the hub calls the server, whose start it has just stopped, ready.
      if (event.ready && isCancelling) return;
      showHubs(event);
    };
    stream.onerror = () => {
      if (isOver) return;
      isHubUp = false;
      showConnection();
      if (stream.readyState === EventSource.CLOSED) window.setTimeout(lookAgain, LOOK_FIRST_MILLISECONDS);
    };
  }

  function followService() {
    const { liveUrl, liveTicket } = page.dataset;
    if (!liveUrl) return;
    const turn = (isUp) => {
      isServiceUp = isUp;
      showConnection();
    };
    window.raysterLive.follow(`${liveUrl}/api/server/events`, liveTicket, {
      onEvent: (name, event) => name === "server" && showServices(event),
      onUp: () => turn(true),
      onDown: () => turn(false),
      onRefused: () => {
        turn(false);
        log("This page hears of the queue from the hub only. Reload it to hear of it also while the hub is away.");
      },
    });
  }

  function cancel(api) {
    isCancelling = true;
    showConnection();
    find("cancel-status").textContent = "Cancelling…";
    const done = {
      success: (_data, _status, answer) => {
        // 202: the site takes its time to end the job; the hub's own page waits for that.
        if (answer && answer.status === 202) window.location.reload();
        else fail("Spawn cancelled");
      },
      error: (answer) => {
        isCancelling = false;
        showConnection();
        const isAway = !answer.status || answer.status >= 502;
        const reason = isAway
          ? "the hub does not answer right now, please try again"
          : (answer.responseJSON && answer.responseJSON.message) || `the hub answered ${answer.status}`;
        find("cancel-status").textContent = `Could not cancel: ${reason}`;
      },
    };
    if (server) api.stop_named_server(user, server, done);
    else api.stop_server(user, done);
  }

  if (page.dataset.elapsedSeconds) place.setElapsed(Number(page.dataset.elapsedSeconds));
  place.tick();
  window.setInterval(place.tick, 1000);
  followHub();
  followService();
  window.require(["jhapi"], (JHAPI) => {
    const button = find("cancel");
    button.addEventListener("click", () => cancel(new JHAPI(window.jhdata.base_url)));
    if (!isOver) button.hidden = false;
    // The hub's own browser tests wait for this name.
    window._jupyterhub_page_loaded = true;
  });
})();
