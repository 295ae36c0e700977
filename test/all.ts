import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

// What `npm test` runs: every test, or those under the paths that are named. Node 20's own runner neither expands
// patterns nor looks for .ts files.

const root = fileURLToPath(new URL('..', import.meta.url))
const named = process.argv.slice(2).map(name => path.normalize(name))
const files = ['test', 'proofs']
  .flatMap(folder =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map(file => path.join(folder, file)),
  )
  .filter(file => file.endsWith('.test.ts') && (named.length === 0 || named.some(name => file.startsWith(name))))
  .sort()
if (files.length === 0) {
  process.stderr.write(`there are no tests under ${named.join(', ')}\n`)
  process.exit(1)
}

// it lists the failed tests once more at the end
const reporter = '--test-reporter=spec'
const seed = '--import=./test/support/seed.mjs'
// most tests have one thread, and the runner leaves a core to itself, which is half of two
const concurrency = `--test-concurrency=${availableParallelism()}`
spawn(process.execPath, ['--import', 'tsx', seed, '--test', concurrency, reporter, ...files], {
  cwd: root,
  stdio: 'inherit',
}).on('exit', code => {
  process.exitCode = code ?? 1
})
