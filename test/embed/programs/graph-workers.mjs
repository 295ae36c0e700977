// Worker threads with sessions on the graph target: one after another, two at once, and then the main thread. The
// addons are unloaded with no thread.
import { readFileSync } from 'node:fs'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import * as partensor from 'partensor'
import { lineOf } from './line.mjs'

if (isMainThread) {
  const inWorker = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url))
      let found
      worker.on('message', message => (found = message))
      worker.on('error', reject)
      worker.on('exit', code => (code === 0 ? resolve(found) : reject(new Error(`a worker ended with ${code}`))))
    })
  const lines = [await inWorker()]
  const maps = readFileSync('/proc/self/maps', 'utf8')
  const left = ['tfjs_binding.node', 'log.node'].filter(addon => maps.includes(addon))
  lines.push(await inWorker(), ...(await Promise.all([inWorker(), inWorker()])))
  console.log(JSON.stringify({ left, lines: [...lines, await lineOf(partensor, 1, 'graph')] }))
} else {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort.postMessage(await lineOf(partensor, 1, 'graph'))
}
