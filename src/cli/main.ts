#!/usr/bin/env node
import { spawn } from 'node:child_process'
import type { Context } from './context.ts'
import { keepHeapSmall } from './heap.ts'

keepHeapSmall()
const [{ commandLine }, { withConfigFile }, { watchEnding }] = await Promise.all([
  import('./program.ts'),
  import('./config-file.ts'),
  import('./ending.ts'),
])
const ending = watchEnding()
// an error that no command has caught is printed as one sentence too, and its locks are released
process.on('uncaughtException', error => {
  ending.failed(error)
  process.exit()
})

/** Runs this command line in a child process, on the same Node. */
const run: Context['run'] = args =>
  new Promise((resolve, reject) => {
    const command = [...process.execArgv, process.argv[1]!, ...args]
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] })
    const stop = (): void => {
      child.kill('SIGTERM')
    }
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      ending.stopped.removeEventListener('abort', stop)
      resolve({ code, stdout, stderr })
    })
    ending.stopped.addEventListener('abort', stop)
  })

try {
  const { interrupted, exit } = ending
  const program = commandLine({ out: process.stdout, err: process.stderr, interrupted, exit, run })
  const argv = await withConfigFile(program, process.argv.slice(2))
  await program.parseAsync(argv, { from: 'user' })
  ending.done()
} catch (error) {
  ending.failed(error)
}
