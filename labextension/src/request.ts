/** Asks the server extension. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { IWalltime, parseWalltime } from './walltime';

/**
 * Ask the server for its walltime.
 *
 * @throws NetworkError, ResponseError or TypeError when there is no answer to use.
 */
export async function requestWalltime(
  settings: ServerConnection.ISettings
): Promise<IWalltime> {
  const url = URLExt.join(settings.baseUrl, 'rayster', 'walltime');
  const response = await ServerConnection.makeRequest(url, {}, settings);
  if (!response.ok) {
    throw new ServerConnection.ResponseError(response);
  }
  return parseWalltime(await response.json());
}
