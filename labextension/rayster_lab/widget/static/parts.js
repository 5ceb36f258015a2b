// The panel's small parts: icons, chips, buttons, notes, meters.

import { h } from './dom.js';
import { round, stateOf } from './words.js';

const ICONS = {
  check: [
    'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z',
    'M5 8.2l2.2 2.2L11.2 6'
  ],
  cross: [
    'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z',
    'M5.6 5.6l4.8 4.8',
    'M10.4 5.6l-4.8 4.8'
  ],
  hourglass: [
    'M4 1.8h8',
    'M4 14.2h8',
    'M5 1.8c0 4 6 4.4 6 6.2S5 10.2 5 14.2',
    'M11 1.8c0 4-6 4.4-6 6.2s6 2.2 6 6.2'
  ],
  turning: ['M14 8a6 6 0 1 1-6-6'],
  sent: ['M2 8h9', 'M8 4.5L11.5 8L8 11.5', 'M14 3v10'],
  warning: ['M8 2L1.6 13.5h12.8z', 'M8 6.5v3.2', 'M8 11.6v.2'],
  stop: ['M3.5 3.5h9v9h-9z'],
  pause: ['M5.5 3v10', 'M10.5 3v10'],
  question: [
    'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z',
    'M6.2 6.3c.1-2.4 3.7-2.2 3.6 0c0 1.3-1.8 1.3-1.8 2.7',
    'M8 11.4v.2'
  ],
  clock: ['M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z', 'M8 4.5V8l2.4 1.6'],
  link: ['M9 2.5h4.5V7', 'M13.2 2.8L7.5 8.5', 'M11.5 9v4.5h-9v-9H7'],
  copy: ['M5.5 5.5h8v8h-8z', 'M10.5 5.5v-3h-8v8h3']
};

export function icon(name) {
  const paths = ICONS[name].map(d => h('path', { d }));
  return h(
    'svg',
    {
      class: `rs-svg rs-svg-${name}`,
      viewBox: '0 0 16 16',
      'aria-hidden': 'true'
    },
    paths
  );
}

/** A state as icon and word; the colour only helps. */
export function chip(word) {
  const state = stateOf(word);
  return h(
    'span',
    { class: 'rs-state-chip', 'data-tone': state.tone },
    icon(state.icon),
    h('span', null, state.word)
  );
}

/** A button. `isBusy` shows that it is at work: it stays in the keyboard's order, and does nothing. */
export function button(
  label,
  onClick,
  { kind = 'quiet', isBusy = false, off = '', key, name } = {}
) {
  const isOff = isBusy || Boolean(off);
  return h(
    'button',
    {
      key,
      type: 'button',
      class: `rs-btn rs-btn-${kind}`,
      'aria-disabled': isOff ? 'true' : undefined,
      'aria-busy': isBusy ? 'true' : undefined,
      'aria-label': name,
      title: off || undefined,
      onClick: event => {
        event.preventDefault();
        if (!isOff) {
          onClick(event);
        }
      }
    },
    isBusy ? icon('turning') : null,
    label
  );
}

/** A box with something to know, and what to do. */
export function note(tone, message, advice, ...actions) {
  const names = {
    danger: 'warning',
    warm: 'clock',
    quiet: 'question',
    good: 'check'
  };
  return h(
    'div',
    { class: 'rs-note', 'data-tone': tone },
    icon(names[tone]),
    h(
      'div',
      { class: 'rs-note-body' },
      h(
        'p',
        null,
        message,
        advice ? h('span', { class: 'rs-do' }, ` ${advice}`) : null
      ),
      actions.length ? h('div', { class: 'rs-btns' }, actions) : null
    )
  );
}

/** How much of something is used: a bar and the numbers; `used` null: nobody says. */
export function meter(label, used, total, what) {
  const share = used === null || !total ? 0 : Math.min(1, used / total);
  const text =
    used === null
      ? `${round(total)}, use not told`
      : `${round(used)} of ${round(total)} ${what}`;
  return h(
    'div',
    { class: 'rs-meter' },
    h('span', { class: 'rs-meter-label' }, label),
    h(
      'span',
      {
        class: 'rs-bar',
        role: 'meter',
        'aria-label': label,
        'aria-valuemin': 0,
        'aria-valuemax': total || 1,
        'aria-valuenow': used ?? 0,
        'aria-valuetext': text
      },
      h('span', { style: `width:${(100 * share).toFixed(1)}%` })
    ),
    h('span', { class: 'rs-meter-text', 'aria-hidden': 'true' }, text)
  );
}

/** Let the keyboard go to `selector` in `root` once the page is as the state says. */
export function focusSoon(root, selector) {
  requestAnimationFrame(() => root.querySelector(selector)?.focus());
}

/** Let Enter in a field submit its form; JupyterLab keeps browsers from doing so by themselves. */
export function submitOnEnter(event) {
  if (event.key === 'Enter' && event.target.matches('input')) {
    event.preventDefault();
    event.currentTarget.requestSubmit();
  }
}
