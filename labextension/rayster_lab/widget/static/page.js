// The whole panel: its heading, what is wrong with kernel or service, the form, the clusters.

import { card } from './card.js';
import { h } from './dom.js';
import { startForm } from './form.js';
import { button, icon, note } from './parts.js';
import { moment } from './words.js';

const KERNEL_ENDED =
  'The kernel of this panel has ended or was restarted. Clusters that run go on; run the cell again to see them.';
const KERNEL_SILENT =
  'The kernel does not answer: it is busy with a cell, or has ended. What you ask for is done when it is free.';
const EMPTY =
  'You have no Ray cluster. Workers run as jobs of the site you choose.';

/** What the panel shows; `view` knows and does. */
export function page(view) {
  const { told, isOne } = view;
  const { form } = view.offer;
  return [
    isOne ? null : heading(view),
    banners(view),
    told.trouble ? note('danger', told.trouble) : null,
    told.clusters?.length === 0 && !isOne
      ? h('p', { class: 'rs-empty', key: 'empty' }, EMPTY)
      : null,
    form && !isOne ? formBox(view) : null,
    told.trouble ? null : clusters(view),
    h(
      'div',
      { class: 'rs-hidden', role: 'status', key: 'aloud' },
      view.state.aloud
    )
  ].filter(Boolean);
}

function heading(view) {
  const isOffered = view.told.clusters?.length && !view.offer.form;
  return h(
    'div',
    { class: 'rs-heading-line', key: 'heading' },
    h('h2', null, 'Ray clusters'),
    isOffered
      ? button('New cluster', view.offer.open, { off: view.off, key: 'new' })
      : null
  );
}

function formBox(view) {
  const { offer } = view;
  const { change, start, load } = offer;
  const close = view.told.clusters?.length ? offer.close : null;
  return h(
    'div',
    { class: 'rs-form-box', key: 'form-box' },
    h('h3', null, 'New cluster'),
    startForm(offer.form, { change, start, load, close }, view.id)
  );
}

function banners(view) {
  const { told, kernel } = view;
  const found = [];
  if (kernel.hasEnded) {
    found.push(note('danger', KERNEL_ENDED));
  } else if (kernel.isSilent) {
    found.push(note('quiet', KERNEL_SILENT));
  }
  if (told.lost_since) {
    const since = moment(new Date(told.lost_since * 1000));
    const advice = 'It is asked again by itself; what is shown was known last.';
    found.push(note('warm', `Unknown since ${since}: ${told.fault}`, advice));
  }
  return found.length
    ? h('div', { class: 'rs-notes', key: 'banners' }, found)
    : null;
}

function clusters(view) {
  const { told } = view;
  if (!told.clusters) {
    const isAsking = !told.lost_since && !view.kernel.hasEnded;
    return isAsking
      ? h(
          'p',
          { class: 'rs-loading', key: 'loading' },
          icon('turning'),
          ' Asking RaySTER’s service…'
        )
      : null;
  }
  if (view.isOne && told.is_gone) {
    return gone(view);
  }
  if (!told.clusters.length) {
    return null;
  }
  const canFold = told.clusters.length > 1;
  const isStale = told.lost_since || view.kernel.hasEnded;
  return h(
    'div',
    { class: `rs-list${isStale ? ' rs-stale' : ''}`, key: 'list' },
    [...told.clusters]
      .reverse()
      .map(one => card(one, view, !canFold || view.isOpen(one.id), canFold))
  );
}

function gone(view) {
  const last = view.told.clusters[0];
  if (!last) {
    return note(
      'quiet',
      `There is no cluster ${view.model.get('cluster')}.`,
      'It was stopped, or is not yours.'
    );
  }
  const shown = {
    ...last,
    ...{ state: 'stopped', message: 'It was stopped.', joined: 0 },
    ...{
      head: null,
      workers: [],
      idle: null,
      problems: [],
      resources: null,
      time_left_seconds: null
    }
  };
  return h(
    'div',
    { class: 'rs-list', key: 'list' },
    card(shown, view, true, false)
  );
}
