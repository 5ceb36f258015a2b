// The panel in a notebook: keeps its own state, is told the clusters' by the kernel, and asks the kernel for actions.

import { patch } from './dom.js';
import { Kernel } from './kernel.js';
import { addLines, keepAtEnd, newLog } from './log.js';
import { Offer } from './offer.js';
import { page } from './page.js';
import { focusSoon } from './parts.js';

const TICK_MILLISECONDS = 1000;
const COPIED_MILLISECONDS = 2500;

let views = 0;

class View {
  constructor(model, el) {
    this.model = model;
    this.root = document.createElement('div');
    this.root.className = 'rs-ray';
    // Keys that are typed here are meant for the panel: `x` must not cut the cell.
    this.root.dataset.lmSuppressShortcuts = 'true';
    el.append(this.root);
    views += 1;
    this.id = `rs-ray-${Date.now().toString(36)}-${views}`;
    this.state = {
      said: {},
      scale: {},
      confirm: null,
      log: null,
      folded: {},
      aloud: ''
    };
    this.seen = {};
    this.offer = new Offer(this);
    this.onTold = () => this.hearTold();
    model.on('change:told', this.onTold);
    this.kernel = new Kernel(
      model,
      this.id,
      () => this.draw(),
      message => this.hear(message)
    );
    this.timer = setInterval(() => this.tick(), TICK_MILLISECONDS);
    this.hearTold();
  }

  close() {
    clearInterval(this.timer);
    this.model.off('change:told', this.onTold);
    if (this.state.log) {
      this.kernel.send({ do: 'log-close' });
    }
    this.kernel.close();
  }

  // What is known.

  get told() {
    return this.model.get('told');
  }

  /** Whether it shows one cluster only. */
  get isOne() {
    return Boolean(this.model.get('cluster'));
  }

  get attached() {
    return this.told.attached ?? null;
  }

  /** For how many seconds the news have been news, by the kernel's clock. */
  get past() {
    return Math.max(0, Date.now() / 1000 + this.kernel.ahead - this.told.at);
  }

  /** Why nothing can be done, empty when it can. */
  get off() {
    return this.kernel.hasEnded ? 'The kernel has ended.' : '';
  }

  ofCluster(cluster) {
    return {
      past: this.past,
      off: this.off,
      log: pod => this.openLog(cluster, pod)
    };
  }

  isBusy(what) {
    return this.kernel.isBusy(what);
  }

  isOpen(cluster) {
    const { clusters } = this.told;
    const isNewest = clusters[clusters.length - 1].id === cluster;
    return !(this.state.folded[cluster] ?? !isNewest);
  }

  // What the kernel says.

  hearTold() {
    for (const cluster of this.told.clusters ?? []) {
      const before = this.seen[cluster.id];
      if (before && before.message !== cluster.message) {
        this.state.aloud = `${cluster.name}: ${cluster.message}`;
      }
      if (before && before.wanted.workers !== cluster.wanted.workers) {
        delete this.state.scale[cluster.id];
      }
      this.seen[cluster.id] = cluster;
    }
    this.offer.look();
    this.draw();
  }

  hear(message) {
    if (message.kind === 'log' && this.state.log) {
      addLines(this.state.log, message.lines, message.end);
    }
  }

  // What a person does with a cluster.

  ask(what, content) {
    const { cluster } = content;
    if (this.off || this.isBusy(`${what} ${cluster}`)) {
      return;
    }
    if (this.state.confirm) {
      this.state.confirm = null;
      focusSoon(this.root, '.rs-actions .rs-btn-danger');
    }
    delete this.state.said[cluster];
    this.kernel.ask(what, content, answer => {
      if (answer.message) {
        const tone = answer.kind === 'failed' ? 'danger' : 'good';
        this.state.said[cluster] = { tone, text: answer.message };
        this.state.aloud = answer.message;
      }
    });
    this.draw();
  }

  confirm(cluster, what) {
    this.state.confirm = what ? { cluster, what } : null;
    this.draw();
    focusSoon(
      this.root,
      what ? '.rs-confirm .rs-btn-quiet' : '.rs-actions .rs-btn-danger'
    );
  }

  setScale(cluster, text) {
    this.state.scale[cluster] = text;
    this.draw();
  }

  fold(cluster) {
    this.state.folded[cluster] = this.isOpen(cluster);
    this.draw();
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.state.copied = { text, at: Date.now() };
      this.state.aloud = 'Copied.';
    } catch {
      this.state.aloud =
        'The browser does not let this page copy; select the text instead.';
    }
    this.draw();
  }

  hasJustCopied(text) {
    const { copied } = this.state;
    return (
      copied?.text === text && Date.now() - copied.at < COPIED_MILLISECONDS
    );
  }

  // The log.

  openLog(cluster, pod) {
    const workers = cluster.workers.map((one, index) => [
      one,
      `worker ${index + 1}`
    ]);
    const named = [[cluster.head, 'the head'], ...workers].find(
      ([one]) => one?.pod === pod
    );
    this.state.log = newLog(cluster.id, pod, named?.[1] ?? pod);
    this.kernel.send({ do: 'log', cluster: cluster.id, pod });
    this.draw();
    focusSoon(this.root, '.rs-log-text');
  }

  closeLog = () => {
    this.state.log = null;
    this.kernel.send({ do: 'log-close' });
    this.draw();
  };

  follow(isFollowed) {
    this.state.log.isFollowed = isFollowed;
    this.draw();
  }

  /** Somebody who scrolls up wants to read; at the end again the log is followed. */
  scrolled(pre) {
    const isAtEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 20;
    if (this.state.log && this.state.log.isFollowed !== isAtEnd) {
      this.follow(isAtEnd);
    }
  }

  // The page.

  tick() {
    this.kernel.tick();
    this.draw();
  }

  draw() {
    patch(this.root, page(this));
    if (this.state.log) {
      keepAtEnd(this.root, this.state.log);
    }
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  }
};
