// The store of measured choices in a browser: one entry of an IndexedDB database. A browser may refuse one (private
// windows, full disks): then nothing is kept, and a later page measures anew.
import type { ChoiceStore } from "./choices.ts";

const table = "choices";
const entry = "table";

/** A store for `EngineOptions.choices` in the browser's database `name`. */
export function choiceDatabase(name = "casement"): ChoiceStore {
  return {
    async read() {
      const found = await request(name, "readonly", (store) => store.get(entry)).catch(() => null);
      return typeof found === "string" ? found : null;
    },
    async write(text) {
      await request(name, "readwrite", (store) => store.put(text, entry)).catch(() => null);
    },
  };
}

/** Opens the database, does one request, closes it. */
async function request(
  name: string,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(table);
  const database = await settled(opening);
  try {
    const transaction = database.transaction(table, mode);
    const result = await settled(work(transaction.objectStore(table)));
    return result;
  } finally {
    database.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
