#!/usr/bin/env node
import { keepHeapSmall } from './heap.ts'

keepHeapSmall()
const { commandLine } = await import('./program.ts')

/** Aborts at the first interrupt; a second one ends the process. */
const interrupted = (): AbortSignal => {
  const stopping = new AbortController()
  process.once('SIGINT', () => { stopping.abort() })
  return stopping.signal
}

try {
  await commandLine({
    out: process.stdout, err: process.stderr, interrupted, exit: code => { process.exitCode = code },
  }).parseAsync()
} catch (error) {
  process.stderr.write(`partensor: ${error instanceof Error ? error.message : String(error)}\n`)
  if (process.env['PARTENSOR_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
}
