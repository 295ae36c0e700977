// Two worker threads at once, each with sessions of its own, beside the main thread's.
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import * as partensor from 'partensor'
import { lineOf } from './line.mjs'

if (isMainThread) {
  const inWorker = slope =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: slope })
      let found
      worker.on('message', message => (found = message))
      worker.on('error', reject)
      // a worker ends by itself
      worker.on('exit', code => (code === 0 ? resolve(found) : reject(new Error(`a worker ended with ${code}`))))
    })
  const inMain = async slope => ({
    wasm: await lineOf(partensor, slope, 'wasm'),
    cpu: await lineOf(partensor, slope, 'cpu'),
  })
  const alone = [await inMain(1), await inMain(-3)]
  console.log(JSON.stringify({ alone, together: await Promise.all([inWorker(1), inWorker(-3), inMain(1)]) }))
} else {
  const [wasm, cpu] = await Promise.all(['wasm', 'cpu'].map(target => lineOf(partensor, workerData, target)))
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort.postMessage({ wasm, cpu })
}
