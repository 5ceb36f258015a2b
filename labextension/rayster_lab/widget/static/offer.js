// The offer of a new cluster: opened, filled, sent, and taken back when it is not wanted any more.

import { defaults, request } from './form.js';
import { focusSoon } from './parts.js';
import { capital } from './words.js';

export class Offer {
  /** `view` has `told`, `kernel`, `root`, `state`, `isOne`, `off` and `draw`. */
  constructor(view) {
    this.view = view;
    this.form = null;
  }

  /** Somebody without a cluster is offered one, until there is one. */
  look() {
    const { told, isOne } = this.view;
    const { form } = this;
    if (told.clusters && !told.clusters.length && !isOne && !form) {
      this.open();
      this.form.isOffered = true;
    } else if (told.clusters?.length && form?.isOffered && !form.isBusy) {
      this.form = null;
    }
  }

  open = () => {
    this.form = {
      profiles: null,
      values: null,
      errors: {},
      message: '',
      trouble: '',
      isBusy: false
    };
    this.load();
  };

  load = () => {
    const { form } = this;
    form.trouble = '';
    this.view.kernel.ask('profiles', {}, answer => {
      if (answer.kind === 'failed') {
        form.trouble = answer.message;
        return;
      }
      form.profiles = answer.profiles;
      form.values ??= answer.profiles.length
        ? defaults(answer.profiles[0])
        : null;
    });
    this.view.draw();
  };

  close = () => {
    this.form = null;
    this.view.draw();
    focusSoon(this.view.root, '.rs-heading-line .rs-btn');
  };

  change = (values, field) => {
    const errors = field ? { ...this.form.errors, [field]: undefined } : {};
    Object.assign(this.form, { values, errors, message: '', isOffered: false });
    this.view.draw();
  };

  start = () => {
    const { form, view } = this;
    if (view.off) {
      return;
    }
    Object.assign(form, { isBusy: true, errors: {}, message: '' });
    view.kernel.ask('start', { request: request(form.values) }, answer => {
      form.isBusy = false;
      view.state.aloud = answer.message;
      if (answer.kind === 'done') {
        this.form = null;
        view.state.folded = { [answer.id]: false };
      } else {
        this.refused(answer);
      }
    });
    view.draw();
  };

  refused(answer) {
    const { form } = this;
    const known = answer.fields.filter(one => one.field in form.values);
    const isAllSaid = known.length && known.length === answer.fields.length;
    form.errors = Object.fromEntries(
      known.map(one => [one.field, `${capital(one.reason)}.`])
    );
    form.message = isAllSaid ? '' : answer.message;
    focusSoon(this.view.root, '[aria-invalid="true"]');
  }
}
