import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const projectRoot = fileURLToPath(new URL('..', import.meta.url))
/** The folder into which the project is compiled for measuring: inside the project, so that its packages are found. */
const folder = join(projectRoot, 'node_modules', '.cache', 'partensor-bench')

/** A compiled file of the project. @example compiledFile('src/cli/main.ts') */
export const compiledFile = (source: string): string => join(folder, source.replace(/\.ts$/, '.js'))

/**
 * Compiles the project: plain JavaScript is measured, as it is published, without the memory and time of a compiler.
 */
export const compileProject = (): void => {
  execFileSync(
    process.execPath,
    [join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.bench.json'],
    { cwd: projectRoot, stdio: 'inherit' },
  )
}
