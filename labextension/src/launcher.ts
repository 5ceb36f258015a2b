/** The second plugin: a card in the launcher for each example notebook. */

import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { showErrorMessage } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { notebookIcon } from '@jupyterlab/ui-components';

import { copyExample, IExample, requestExamples } from './examples';

const COMMAND = 'rayster:open-example';
const CATEGORY = 'RaySTER';

export const examples: JupyterFrontEndPlugin<void> = {
  id: 'rayster-lab:examples',
  description: 'Offers the example notebooks in the launcher.',
  autoStart: true,
  // Jupyter Notebook has no launcher.
  optional: [ILauncher],
  activate
};

function activate(app: JupyterFrontEnd, launcher: ILauncher | null): void {
  if (!launcher) {
    return;
  }
  const settings = app.serviceManager.serverSettings;
  const known = new Map<string, IExample>();

  app.commands.addCommand(COMMAND, {
    label: args => known.get(args.name as string)?.title ?? 'Open an example',
    caption: args => known.get(args.name as string)?.description ?? '',
    icon: notebookIcon,
    execute: async args => {
      try {
        const path = await copyExample(settings, args.name as string);
        await app.commands.execute('docmanager:open', { path });
      } catch (error) {
        await showErrorMessage('The example cannot be opened', String(error));
      }
    }
  });

  requestExamples(settings).then(
    found => {
      found.forEach((example, rank) => {
        known.set(example.name, example);
        launcher.add({
          command: COMMAND,
          args: { name: example.name },
          category: CATEGORY,
          rank
        });
      });
    },
    error => console.warn('Examples: the server tells none.', error)
  );
}
