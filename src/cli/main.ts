#!/usr/bin/env node
import { spawn } from 'node:child_process'
import type { Context } from './context.ts'
import { keepHeapSmall } from './heap.ts'

keepHeapSmall()
const { commandLine } = await import('./program.ts')

/** Aborts at the first interrupt; a second one ends the process. */
const interrupted = (): AbortSignal => {
  const stopping = new AbortController()
  process.once('SIGINT', () => { stopping.abort() })
  return stopping.signal
}

/** This command line in a process of its own, on the same Node. */
const run: Context['run'] = args => new Promise((resolve, reject) => {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = '', stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  child.on('error', reject)
  child.on('close', code => { resolve({ code, stdout, stderr }) })
})

try {
  await commandLine({
    out: process.stdout, err: process.stderr, interrupted, exit: code => { process.exitCode = code }, run,
  }).parseAsync()
} catch (error) {
  process.stderr.write(`partensor: ${error instanceof Error ? error.message : String(error)}\n`)
  if (process.env['PARTENSOR_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
}
