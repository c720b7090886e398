// One's own pictures, kept in the browser's database: the file as it was given, a small copy to show, and what each model
// made of it. Nothing leaves the machine.

/** What a picture is to a model. */
export interface Print {
  /** Short name of its pixels; empty where raw pixels stand for a model. */
  print: string;
  row: Float32Array;
}

/** A picture as it is kept. */
export interface OwnPicture {
  id: number;
  name: string;
  file: Blob;
  thumb: Blob;
  /** By the model's key. */
  prints: Record<string, Print>;
}

const database = "casement-pictures";
const table = "pictures";

/** Does one piece of work with the table. */
async function within<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const opening = indexedDB.open(database, 1);
  opening.onupgradeneeded = () =>
    opening.result.createObjectStore(table, { keyPath: "id", autoIncrement: true });
  const opened = await settled(opening);
  try {
    const transaction = opened.transaction(table, mode);
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const [value] = await Promise.all([settled(work(transaction.objectStore(table))), ended]);
    return value;
  } finally {
    opened.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** All pictures, oldest first; none where the browser keeps nothing, as some private windows do. */
export function ownPictures(): Promise<OwnPicture[]> {
  return within<OwnPicture[]>("readonly", (store) => store.getAll()).catch(() => []);
}

/** Keeps a picture, new or changed. Returns its id. Throws, with advice, where the browser won't. */
export async function keep(picture: Omit<OwnPicture, "id"> & { id?: number }): Promise<number> {
  try {
    return (await within("readwrite", (store) => store.put(picture))) as number;
  } catch (cause) {
    const why =
      (cause as DOMException)?.name === "QuotaExceededError" ? "its share of the disk is full" : `${cause}`;
    throw new Error(`The browser can't keep ${picture.name}: ${why}.`, { cause });
  }
}

export async function removeAll(): Promise<void> {
  await within("readwrite", (store) => store.clear());
}
