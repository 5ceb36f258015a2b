/** The item of the status bar. */

import { LabIcon } from '@jupyterlab/ui-components';
import { ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { Urgency } from './warnings';

const clockIcon = new LabIcon({
  name: 'rayster-lab:clock',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">
    <g fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round">
      <circle cx="8" cy="8" r="6.25"/><path d="M8 4.5V8l2.5 1.75"/>
    </g></svg>`
});

const alertIcon = new LabIcon({
  name: 'rayster-lab:alert',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">
    <g fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
      <path d="M8 1.75 15 14.25H1Z"/><path d="M8 6.25v3.5M8 12v.01"/>
    </g></svg>`
});

/** What the item shows. */
export interface IStatus {
  text: string;
  /** The longer text, for the tooltip and for screen readers. */
  caption: string;
  urgency: Urgency;
}

/** Shows what is left of the walltime; is not there while there is none. */
export class WalltimeItem extends Widget {
  constructor() {
    super();
    this.addClass('rayster-Walltime');
    // A timer is read when a reader gets to it, not each time that it changes.
    this.node.setAttribute('role', 'timer');
    this.label.className = 'jp-StatusBar-TextItem';
    this.node.append(this.icon, this.label);
  }

  /** Whether there is something to show. */
  get isActive(): boolean {
    return this.status !== null;
  }

  get activeStateChanged(): ISignal<this, void> {
    return this.activeChanged;
  }

  /** Show `status`, or nothing. */
  display(status: IStatus | null): void {
    const wasActive = this.isActive;
    const previous = this.status;
    this.status = status;
    if (status && !isSame(status, previous)) {
      this.label.textContent = status.text;
      this.node.title = status.caption;
      this.node.setAttribute('aria-label', `${status.text}. ${status.caption}`);
      this.node.dataset.urgency = status.urgency;
      const icon = status.urgency === 'calm' ? clockIcon : alertIcon;
      icon.element({ container: this.icon, height: '14px', width: '14px' });
    }
    if (wasActive !== this.isActive) {
      this.activeChanged.emit();
    }
  }

  private readonly icon = document.createElement('span');
  private readonly label = document.createElement('span');
  private readonly activeChanged = new Signal<this, void>(this);
  private status: IStatus | null = null;
}

function isSame(one: IStatus, other: IStatus | null): boolean {
  return (
    one.text === other?.text &&
    one.caption === other.caption &&
    one.urgency === other.urgency
  );
}
