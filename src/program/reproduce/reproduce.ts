import * as E from 'fp-ts/lib/Either.js'
import { fail, orThrow, type IoError } from '../../text/index.ts'
import { fig3, table4 } from './lengths.ts'
import { table1, table3, table6, table7 } from './memory.ts'
import type { Reproduction, Reproducing } from './reproduction.ts'
import { fig2 } from './times.ts'

export type { Reproduction, Reproducing } from './reproduction.ts'

/** The tables and figures of the paper that follow from shapes. */
const reproductions = { table1, table3, table4, table6, table7, fig2, fig3 } as const
export type Reproducible = keyof typeof reproductions
export const reproducible = Object.keys(reproductions) as readonly Reproducible[]

/** The findings about the others. */
const refused: Readonly<Record<string, string>> = {
  table2:
    'Table 2 is not reproducible: its memory (LoRA 56, DoRA 65, MosLoRA 56, PaCA 47 GB, and 51 at rank 128) fits no number of tokens: at 4 × 768 tokens the account is 44, 61, 44, 38 and 40 GB, LoRA and PaCA would need about 4600 tokens, and DoRA would then need 82 GB',
  table5:
    'Table 5 compares accuracies of selections, which shapes do not have, and the released code has one selection of the three',
}

/** The paper's table or figure with a name. Errors: a name that there is not; a table that cannot be reproduced, with the reason. */
const named = (name: string): E.Either<IoError, (options: Required<Reproducing>) => Promise<Reproduction>> => {
  const found = reproducible.find(known => known === name)
  if (found !== undefined) return E.right(reproductions[found])
  return fail(
    refused[name] ?? `reproduce ${name}: there is no such table or figure: there are ${reproducible.join(', ')}`,
  )
}

/**
 * Computes a table or a figure of the PaCA paper from shapes alone, beside the paper's own. Rejects with an `IoError`: a
 * name that there is not, or a table that cannot be reproduced, with the reason.
 * @example (await reproduce('table4')).rows
 */
export const reproduce = async (name: string, { ours = false }: Reproducing = {}): Promise<Reproduction> => {
  const found = await orThrow(async () => named(name))
  return found({ ours })
}
