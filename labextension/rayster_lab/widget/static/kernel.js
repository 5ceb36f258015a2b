// The talk with the kernel: questions with a ticket each, and whether anybody answers at all.

const HELLO_MILLISECONDS = 30000;
// A kernel that runs a cell answers later; one that has ended never does.
const PATIENCE_MILLISECONDS = 8000;

export class Kernel {
  /** `changed` is called when what is known of the kernel is new; `heard` gets messages that are no answers. */
  constructor(model, id, changed, heard) {
    Object.assign(this, { model, id, changed, heard });
    this.hasEnded = false;
    // By how many seconds its clock is ahead of the browser's.
    this.ahead = 0;
    this.askedAt = 0;
    this.tickets = new Map();
    this.onMessage = message => this.hear(message);
    // A restart cuts the line of an old panel, and so may a network: only a question tells.
    this.onLine = () => {
      this.isCut = true;
      this.hello();
      this.changed();
    };
    model.on('msg:custom', this.onMessage);
    model.on('comm_live_update', this.onLine);
    this.timer = setInterval(() => this.hello(), HELLO_MILLISECONDS);
    this.hello();
  }

  close() {
    clearInterval(this.timer);
    this.model.off('msg:custom', this.onMessage);
    this.model.off('comm_live_update', this.onLine);
  }

  /** Whether the kernel has been asked and says nothing. */
  get isSilent() {
    return (
      this.askedAt > 0 && Date.now() - this.askedAt > PATIENCE_MILLISECONDS
    );
  }

  send(content) {
    try {
      this.model.send({ ...content, view: this.id });
    } catch {
      this.hasEnded = true;
    }
  }

  hello() {
    this.send({ do: 'hello' });
    this.askedAt ||= Date.now();
  }

  /** Ask for `what`; `done` gets the answer. */
  ask(what, content, done) {
    const ticket = `${this.id} ${Math.random().toString(36).slice(2)}`;
    const name = content.cluster ? `${what} ${content.cluster}` : what;
    this.tickets.set(ticket, { name, done });
    this.send({ ...content, do: what, ticket });
    this.askedAt ||= Date.now();
  }

  /** Whether an answer to such a question is still to come. */
  isBusy(name) {
    return [...this.tickets.values()].some(one => one.name === name);
  }

  hear(message) {
    if (message.view !== this.id) {
      return;
    }
    // Whatever it says, it lives.
    Object.assign(this, { hasEnded: false, isCut: false, askedAt: 0 });
    const ticket = this.tickets.get(message.ticket);
    if (message.kind === 'hello') {
      this.ahead = message.now - Date.now() / 1000;
    } else if (!ticket) {
      this.heard(message);
    } else if (message.kind !== 'taken') {
      this.tickets.delete(message.ticket);
      ticket.done(message);
    }
    this.changed();
  }

  /** Look again; called every second. */
  tick() {
    if (this.isCut && this.isSilent) {
      this.hasEnded = true;
    }
  }
}
