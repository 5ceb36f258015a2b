/** The plugin: asks, counts, shows and warns. */

import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Poll } from '@lumino/polling';

import { examples } from './launcher';
import { Notifier } from './notify';
import { requestWalltime } from './request';
import { DEFAULT_SETTINGS, readSettings } from './settings';
import { WalltimeItem } from './statusItem';
import { Countdown, isClockInDoubt } from './walltime';
import { urgency, Warnings } from './warnings';
import { timeLeft, warning, whatHappens } from './words';

const PLUGIN_ID = 'rayster-lab:plugin';
const REFRESH_MS = 120_000;
const TICK_MS = 1000;

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description:
    'Shows what is left of the walltime of this server and warns before it ends.',
  autoStart: true,
  // Jupyter Notebook has no status bar; it still warns.
  optional: [IStatusBar, ISettingRegistry],
  activate
};

export default [plugin, examples];

function activate(
  app: JupyterFrontEnd,
  statusBar: IStatusBar | null,
  registry: ISettingRegistry | null
): void {
  const countdown = new Countdown();
  const warnings = new Warnings(window.sessionStorage);
  const notifier = new Notifier(app.commands);
  const item = new WalltimeItem();
  let settings = DEFAULT_SETTINGS;

  statusBar?.registerStatusItem(PLUGIN_ID, {
    item,
    align: 'right',
    rank: 1000,
    priority: 1,
    isActive: () => item.isActive,
    activeStateChanged: item.activeStateChanged
  });

  const update = (): void => {
    const { walltime, secondsLeft, end } = countdown;
    if (!walltime || secondsLeft === null || !end) {
      item.display(null);
      notifier.dismiss();
      return;
    }
    const now = new Date();
    const { isExact, runId } = walltime;
    item.display({
      text: timeLeft(secondsLeft, isExact),
      caption: whatHappens(end, now, isExact),
      urgency: urgency(secondsLeft, settings.minutes)
    });
    const due =
      settings.isWarning && warnings.take(secondsLeft, settings.minutes, runId);
    if (due) {
      notifier.warn(warning(secondsLeft, isExact, end, now), due === 'last');
    }
  };

  // A server that does not answer is asked again at the next turn; the countdown goes on meanwhile.
  const poll = new Poll({
    name: PLUGIN_ID,
    factory: async () => {
      const walltime = await requestWalltime(app.serviceManager.serverSettings);
      if (walltime.runId !== countdown.walltime?.runId) {
        notifier.dismiss();
      }
      countdown.hear(walltime);
      update();
    },
    frequency: { interval: REFRESH_MS, backoff: false },
    standby: 'when-hidden',
    auto: false
  });

  const start = (): void => {
    let previousTick = Date.now();
    window.setInterval(() => {
      const now = Date.now();
      if (isClockInDoubt(previousTick, now)) {
        void poll.refresh();
      }
      previousTick = now;
      update();
    }, TICK_MS);
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        void poll.refresh();
      }
    });
    void poll.start();
  };

  const loadSettings = async (): Promise<void> => {
    const loaded = await registry?.load(PLUGIN_ID);
    const read = (): void => {
      settings = readSettings(loaded?.composite ?? {});
      update();
    };
    loaded?.changed.connect(read);
    read();
  };

  // Not before the settings are known, since somebody may have switched warnings off,
  // nor before the command is there that a warning offers.
  void loadSettings()
    .catch(error => console.warn('Walltime: default settings are used.', error))
    .then(() => app.started)
    .then(start);
}
