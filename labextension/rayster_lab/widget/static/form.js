// The form of a new cluster: what a profile allows, said beside each field, and one line that says it all.

import { h } from './dom.js';
import { button, icon, note, submitOnEnter } from './parts.js';
import { amounts, count, memory, walltime } from './words.js';

const SITES = {
  available: { icon: 'check', tone: 'good' },
  busy: { icon: 'hourglass', tone: 'warm' },
  unreachable: { icon: 'warning', tone: 'danger' },
  unknown: { icon: 'question', tone: 'quiet' }
};

/** The form's beginning for a profile: its defaults. */
export function defaults(profile) {
  const {
    workers,
    cpus,
    memory_mib: mib,
    gpus,
    walltime_minutes: minutes
  } = profile.bounds;
  return {
    profile: profile.name,
    workers: String(workers.default),
    cpus: String(cpus.default),
    memory: String(mib.default / 1024),
    gpus: gpus ? String(gpus.default) : '',
    walltime: minutes ? asWalltime(minutes.default) : '',
    image: profile.images.find(one => one.default)?.name ?? '',
    name: ''
  };
}

/** The request that the service is sent. */
export function request(values) {
  const number = text =>
    text.trim() === '' || Number.isNaN(Number(text))
      ? text.trim()
      : Number(text);
  return {
    ...values,
    workers: number(values.workers),
    cpus: number(values.cpus),
    memory: number(values.memory),
    gpus: values.gpus === '' ? '' : number(values.gpus),
    name: values.name.trim()
  };
}

/** `form`: profiles, values, errors by field, message. `act`: change(values), start(), close(). */
export function startForm(form, act, id) {
  if (form.trouble) {
    return note('danger', form.trouble, '', button('Try again', act.load));
  }
  if (!form.profiles) {
    return h(
      'p',
      { class: 'rs-dim' },
      icon('turning'),
      ' Asking which profiles have workers…'
    );
  }
  if (!form.profiles.length) {
    return note(
      'quiet',
      'No profile with Ray workers is open to you.',
      'Ask an administrator of the hub for one.'
    );
  }
  const profile = form.profiles.find(one => one.name === form.values.profile);
  const limit = limitOf(profile);
  const field = (name, label, hint, control) =>
    labelled(form, id, name, label, hint, control);
  const number = (name, bounds, step) =>
    input(form, act, id, name, {
      type: 'number',
      min: bounds.min,
      max: bounds.max,
      step,
      inputmode: 'decimal'
    });
  const {
    workers,
    cpus,
    memory_mib: mib,
    gpus,
    walltime_minutes: minutes
  } = profile.bounds;
  return h(
    'form',
    {
      class: 'rs-form',
      key: 'form',
      novalidate: true,
      'aria-label': 'New Ray cluster',
      onKeydown: submitOnEnter,
      onSubmit: event => {
        event.preventDefault();
        if (!limit && !form.isBusy) {
          act.start();
        }
      }
    },
    h(
      'div',
      { class: 'rs-fields' },
      field(
        'profile',
        'Where the workers run',
        site(profile),
        profileSelect(form, act, id)
      ),
      field(
        'workers',
        'Workers',
        between(workers, String),
        number('workers', workers, 1)
      ),
      field(
        'cpus',
        'Cores of each',
        between(cpus, String),
        number('cpus', cpus, cpus.whole ? 1 : 'any')
      ),
      field(
        'memory',
        'Memory of each, in GiB',
        between(mib, memory),
        number('memory', { min: mib.min / 1024, max: mib.max / 1024 }, 'any')
      ),
      gpus
        ? field(
            'gpus',
            `GPUs of each${gpus.type ? ` (${gpus.type})` : ''}`,
            between(gpus, String),
            number('gpus', gpus, 1)
          )
        : null,
      minutes
        ? field(
            'walltime',
            'Walltime',
            `${between(minutes, walltime)}, such as 90m or 2h`,
            input(form, act, id, 'walltime', {})
          )
        : null,
      profile.images.length > 1
        ? field('image', 'Software', '', imageSelect(form, act, id, profile))
        : null,
      field(
        'name',
        'Name',
        'What you call it, if you like.',
        input(form, act, id, 'name', { maxlength: 60 })
      )
    ),
    form.message ? note('danger', form.message) : null,
    limit ? note('warm', limit, 'Stop one to start another.') : null,
    h(
      'p',
      { class: 'rs-outcome', role: 'status' },
      Object.values(form.errors).some(Boolean)
        ? ''
        : outcome(profile, form.values)
    ),
    h(
      'div',
      { class: 'rs-btns' },
      h(
        'button',
        {
          type: 'submit',
          class: 'rs-btn rs-btn-main',
          'aria-disabled': limit || form.isBusy ? 'true' : undefined,
          'aria-busy': form.isBusy ? 'true' : undefined
        },
        form.isBusy ? icon('turning') : null,
        'Start'
      ),
      act.close ? button('Cancel', act.close) : null
    )
  );
}

function labelled(form, id, name, label, hint, control) {
  const error = form.errors[name];
  return h(
    'div',
    { class: `rs-field rs-field-${name}`, key: name },
    h('label', { for: `${id}-${name}` }, label),
    control,
    hint
      ? h('div', { class: 'rs-hint', id: `${id}-${name}-hint` }, hint)
      : null,
    error
      ? h('div', { class: 'rs-field-error', id: `${id}-${name}-error` }, error)
      : null
  );
}

function input(form, act, id, name, props) {
  return h('input', {
    ...controlProps(form, act, id, name),
    ...props,
    type: props.type ?? 'text',
    autocomplete: 'off',
    spellcheck: 'false'
  });
}

function controlProps(form, act, id, name) {
  const isWrong = Boolean(form.errors[name]);
  return {
    id: `${id}-${name}`,
    name,
    class: 'rs-input',
    value: form.values[name],
    'aria-invalid': isWrong ? 'true' : undefined,
    'aria-describedby': `${id}-${name}-hint${isWrong ? ` ${id}-${name}-error` : ''}`,
    onInput: event =>
      act.change({ ...form.values, [name]: event.target.value }, name)
  };
}

function profileSelect(form, act, id) {
  const choose = event => {
    const chosen = form.profiles.find(one => one.name === event.target.value);
    act.change({ ...defaults(chosen), name: form.values.name }, null);
  };
  return h(
    'select',
    { ...controlProps(form, act, id, 'profile'), onInput: choose },
    form.profiles.map(one =>
      h('option', { key: one.name, value: one.name }, one.title)
    )
  );
}

function imageSelect(form, act, id, profile) {
  return h(
    'select',
    controlProps(form, act, id, 'image'),
    profile.images.map(one =>
      h('option', { key: one.name, value: one.name }, one.title)
    )
  );
}

function site(profile) {
  const { state = 'unknown', text = '', detail = '' } = profile.status ?? {};
  const look = SITES[state] ?? SITES.unknown;
  return h(
    'span',
    { class: 'rs-site-line', 'data-tone': look.tone },
    icon(look.icon),
    h('span', null, `${text || state}${detail ? `. ${detail}` : ''}`)
  );
}

function limitOf(profile) {
  const { clusters_per_user: most, clusters_now: now } = profile.limits ?? {};
  return most && now >= most
    ? `You have ${now} of ${count(most, 'cluster')} here.`
    : '';
}

function outcome(profile, values) {
  const { workers, cpus, memory_mib: mib, gpus } = profile.bounds;
  // What is left out gets the default.
  const given = (text, bounds) =>
    text.trim() === '' ? (bounds?.default ?? 0) : Number(text);
  const asked = {
    cpus: given(values.cpus, cpus),
    memory_mib:
      values.memory.trim() === '' ? mib.default : Number(values.memory) * 1024,
    gpus: given(values.gpus, gpus)
  };
  const number = given(values.workers, workers);
  // What cannot be had is not promised; a number that is none is within no bounds.
  const isWithin = (bounds, value) =>
    !bounds || (value >= bounds.min && value <= bounds.max);
  if (
    !isWithin(workers, number) ||
    !isWithin(cpus, asked.cpus) ||
    !isWithin(mib, asked.memory_mib) ||
    !isWithin(gpus, asked.gpus)
  ) {
    return '';
  }
  const until = values.walltime ? ` for ${values.walltime}` : '';
  const each = number === 1 ? '' : ' each';
  return `${count(number, 'worker')} at ${profile.site}: ${amounts(asked)}${each}${until}.`;
}

function between(bounds, say) {
  return bounds.min === bounds.max
    ? `${say(bounds.min)}, fixed`
    : `${say(bounds.min)} to ${say(bounds.max)}`;
}

function asWalltime(minutes) {
  return minutes % 60 ? `${minutes}m` : `${minutes / 60}h`;
}
