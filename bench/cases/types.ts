import { join } from 'node:path'
import { projectRoot } from '../compiled.ts'
import { timeWhole } from '../measure.ts'
import { bounded, figure } from '../table.ts'
import type { Case } from './case.ts'

/** Measures how long `tsc` takes for the whole project, including tests and benchmarks. */
export const types: Case = {
  name: 'types',
  about: 'the type check of the whole project',
  run: async ({ alternate }) => {
    const command = [process.execPath, join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']
    const found = await alternate([{ name: 'tsc -p .', measure: () => timeWhole(command) }])
    return {
      rows: [bounded('type check of the whole project', figure(found.get('tsc -p .')), '≤ 5 s', 5000)],
      tables: [],
    }
  },
}
