/** Warnings as JupyterLab's notifications. */

import { Notification } from '@jupyterlab/apputils';
import { CommandRegistry } from '@lumino/commands';

const SAVE_ALL = 'docmanager:save-all';
const SHOWN_MS = 60_000;

/** Shows one warning at a time: a newer one takes the place of the one before. */
export class Notifier {
  constructor(private readonly commands: CommandRegistry) {}

  /** Show a warning; the last one stays until it is dismissed. */
  warn(message: string, isLast: boolean): void {
    this.dismiss();
    const actions = this.commands.hasCommand(SAVE_ALL) ? [this.saveAll()] : [];
    this.shown = isLast
      ? Notification.error(message, { autoClose: false, actions })
      : Notification.warning(message, { autoClose: SHOWN_MS, actions });
  }

  /** Remove the warning, if there is one. */
  dismiss(): void {
    if (this.shown !== null) {
      Notification.dismiss(this.shown);
      this.shown = null;
    }
  }

  private saveAll(): Notification.IAction {
    return {
      label: 'Save all',
      caption: 'Save all open files that have changed',
      callback: () => void this.commands.execute(SAVE_ALL)
    };
  }

  private shown: string | null = null;
}
