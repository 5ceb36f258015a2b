// What can be done with a cluster: attach, scale, restart, stop, and the question before what cannot be undone.

import { h } from './dom.js';
import { button, icon, submitOnEnter } from './parts.js';
import { count } from './words.js';

/** The buttons, or the question whether that is meant; nothing for a cluster that is on its way out. */
export function actions(cluster, view, name) {
  if (cluster.state === 'stopping' || view.told.is_gone) {
    return null;
  }
  if (view.state.confirm?.cluster === cluster.id) {
    return confirmation(cluster, view, name);
  }
  const isMine = view.attached?.cluster === cluster.id && !view.attached.lost;
  const isUp = cluster.head?.state === 'joined';
  const isDown = cluster.state === 'failed' || cluster.state === 'suspended';
  const busy = what => view.isBusy(`${what} ${cluster.id}`);
  const off = view.off;
  const ask = (what, content) => () =>
    view.ask(what, { cluster: cluster.id, ...content });
  const confirm = what => () => view.confirm(cluster.id, what);
  return h(
    'div',
    {
      class: 'rs-actions',
      key: 'actions',
      role: 'group',
      'aria-label': `What to do with ${cluster.name}`
    },
    isMine
      ? button('Detach', ask('detach'), {
          key: 'detach',
          isBusy: busy('detach'),
          off
        })
      : button(busy('attach') ? 'Attaching…' : 'Attach', ask('attach'), {
          key: 'attach',
          kind: isDown ? 'quiet' : 'main',
          isBusy: busy('attach'),
          off: off || (isUp ? '' : 'Its head is not up yet.')
        }),
    isDown && cluster.state === 'suspended'
      ? null
      : scale(cluster, view, busy('scale'), off, name),
    button('Restart', isDown ? ask('restart') : confirm('restart'), {
      key: 'restart',
      kind: isDown ? 'main' : 'quiet',
      isBusy: busy('restart'),
      off
    }),
    button('Stop', confirm('stop'), {
      key: 'stop',
      kind: 'danger',
      isBusy: busy('stop'),
      off
    })
  );
}

function scale(cluster, view, isBusy, off, name) {
  const { min, max } = cluster.bounds.workers;
  const wanted = view.state.scale[cluster.id] ?? String(cluster.wanted.workers);
  // An empty field is no number, and above all not zero: the service says what is allowed.
  const workers = wanted.trim() === '' ? '' : Number(wanted);
  const go = () => view.ask('scale', { cluster: cluster.id, workers });
  return h(
    'form',
    {
      class: 'rs-scale',
      key: 'scale',
      novalidate: true,
      onKeydown: submitOnEnter,
      onSubmit: event => {
        event.preventDefault();
        if (!isBusy && !off) {
          go();
        }
      }
    },
    h('label', { for: `${name}-scale` }, 'Workers'),
    h('input', {
      id: `${name}-scale`,
      class: 'rs-input rs-narrow',
      type: 'number',
      min,
      max,
      step: 1,
      value: wanted,
      onInput: event => view.setScale(cluster.id, event.target.value)
    }),
    h(
      'button',
      {
        type: 'submit',
        class: 'rs-btn rs-btn-quiet',
        'aria-disabled': off || isBusy ? 'true' : undefined,
        'aria-busy': isBusy ? 'true' : undefined,
        title: off || `${min} to ${max} workers`
      },
      isBusy ? icon('turning') : null,
      'Scale'
    )
  );
}

function confirmation(cluster, view, name) {
  const { what } = view.state.confirm;
  const jobs = count(cluster.workers.length + (cluster.head ? 1 : 0), 'node');
  const words = {
    stop: [
      'Stop it',
      `Stop ${cluster.name}? Its ${jobs} end, and what is in Ray’s memory is lost.`
    ],
    restart: [
      'Restart it',
      `Restart ${cluster.name}? Its ${jobs} end and are queued anew; what is in Ray’s memory is lost.`
    ]
  }[what];
  const leave = () => view.confirm(cluster.id, null);
  return h(
    'div',
    {
      class: 'rs-confirm',
      key: 'confirm',
      role: 'alertdialog',
      'aria-labelledby': `${name}-confirm`,
      onKeydown: event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          leave();
        }
      }
    },
    h('p', { id: `${name}-confirm` }, words[1]),
    h(
      'div',
      { class: 'rs-btns' },
      button(words[0], () => view.ask(what, { cluster: cluster.id }), {
        key: 'yes',
        kind: 'danger-main',
        off: view.off
      }),
      button('Keep it', leave, { key: 'no' })
    )
  );
}
