/** What a text imports, by any of the ways there are. */
export function specifiersOf(text: string): string[] {
  const ways = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*["']([^"'\n]+)["']/g;
  return [...text.matchAll(ways)].map((match) => match[1]!);
}
