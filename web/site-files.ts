// Files that lie beside the page, as its build puts them there: the model's, the gallery's.
import { files } from "../train/run/store.ts";

/** What of a run's folder makes a model; the page's own lies in model/. */
export const modelNames = [files.config, files.tokenizer, files.model] as const;

/** Fetches one, to be read as what it is. Throws an Error that names it where it can't be had. */
export async function siteFile(url: URL): Promise<Response> {
  const response = await fetch(url).catch((cause: Error) => {
    throw new Error(`${url.pathname} could not be loaded: ${cause.message}`, { cause });
  });
  if (!response.ok) throw new Error(`${url.pathname} could not be loaded: ${response.status}`);
  return response;
}
