/** The example notebooks, as the server tells them. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

export interface IExample {
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

/**
 * Read the list of examples.
 *
 * @throws TypeError when it is none.
 */
export function parseExamples(answer: unknown): IExample[] {
  const { examples } = (answer ?? {}) as { examples?: unknown };
  if (!Array.isArray(examples)) {
    throw new TypeError('The server tells no list of examples.');
  }
  return examples.map(one => {
    const { name, title, description } = (one ?? {}) as Partial<IExample>;
    if (
      typeof name !== 'string' ||
      typeof title !== 'string' ||
      typeof description !== 'string'
    ) {
      throw new TypeError('The server tells an example without its name.');
    }
    return { name, title, description };
  });
}

/**
 * Ask which examples there are.
 *
 * @throws NetworkError, ResponseError or TypeError.
 */
export async function requestExamples(
  settings: ServerConnection.ISettings
): Promise<IExample[]> {
  return parseExamples(await ask(settings, {}));
}

/**
 * Let the server copy an example into the user's files, where it is not there yet; return its path.
 *
 * @throws NetworkError, ResponseError or TypeError.
 */
export async function copyExample(
  settings: ServerConnection.ISettings,
  name: string
): Promise<string> {
  const body = JSON.stringify({ name });
  const { path } = (await ask(settings, { method: 'POST', body })) as {
    path?: unknown;
  };
  if (typeof path !== 'string') {
    throw new TypeError('The server tells no path.');
  }
  return path;
}

async function ask(
  settings: ServerConnection.ISettings,
  init: RequestInit
): Promise<unknown> {
  const url = URLExt.join(settings.baseUrl, 'rayster', 'examples');
  const response = await ServerConnection.makeRequest(url, init, settings);
  if (!response.ok) {
    const said = (await response.json().catch(() => ({}))) as {
      message?: string;
    };
    throw new ServerConnection.ResponseError(
      response,
      said.message ?? `The server answers ${response.status}.`
    );
  }
  return response.json();
}
