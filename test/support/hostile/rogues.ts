import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { refusal } from '../../../src/text/index.ts'
import { ends } from './attack.ts'
import { jsonBytes } from './bytes.ts'
import type { Subject } from './subjects.ts'

/** Parsers that break a law each: the laws must find them. */

const rogue = (name: string, open: (folder: string) => unknown): Subject => ({
  name: `rogue: ${name}`,
  valid: async () => [{ 'a.json': Buffer.from('{"a": [1, "../secret.safetensors"]}') }],
  attacked: { 'a.json': jsonBytes },
  open: async folder => open(folder),
})
const kept: unknown[] = []

/** Each with the law that refutes it. */
export const rogues: readonly Subject[] = [
  rogue('a failure is a tagged error', () => (undefined as unknown as { readonly a: unknown }).a),
  rogue('a refusal is one sentence that names the file', () => {
    throw refusal('it is broken')
  }),
  rogue('nothing that all programs share is changed', () => {
    Object.assign(Object.prototype, { polluted: 1 })
  }),
  rogue('no path is asked for outside of the folder that was named', folder =>
    readFile(join(folder, '..', 'secret.safetensors')),
  ),
  rogue('the memory stays within 64 MB and four times the files', () => {
    kept.length = 0
    kept.push(new Uint8Array(100e6).fill(1))
  }),
  rogue(ends, () => {
    for (;;);
  }),
]
